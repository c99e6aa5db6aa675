// SPDX-License-Identifier: Apache-2.0

// Package syntax is what the files of a module tree and of modprobe.d are made
// of: nodes of an index, lines of the configuration, patterns, names.
//
// Package kmod reads by it, and so does internal/nowhere, which runs before
// Go's runtime is there. So nothing in this package allocates, grows a slice,
// makes a map or a closure that escapes, stores a pointer into memory that
// outlives the call, calls through an interface or a function value, or imports
// anything but unsafe. internal/nowhere's TestCallGraph holds it to that.
package syntax

import "unsafe"

// Text views b as a string. The caller keeps b, and does not change it as long
// as the string is used.
func Text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
