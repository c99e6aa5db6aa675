// SPDX-License-Identifier: Apache-2.0

package modprobe

// RunShell is system, for the tests from outside.
var RunShell = system
