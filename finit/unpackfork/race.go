// SPDX-License-Identifier: Apache-2.0

//go:build race

package unpackfork

// The race detector is called wherever memory is touched, and needs the runtime.
const race = true
