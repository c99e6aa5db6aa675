// SPDX-License-Identifier: Apache-2.0

//go:build !safeload_spare

package entry

// signals is nil: the entry leaves the runtime's signals alone.
var signals *byte
