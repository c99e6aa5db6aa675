// SPDX-License-Identifier: Apache-2.0

// Package depmod is the program depmod(8), as kmod's version 34 has it: the
// same indexes to the byte, messages and exit codes.
//
// Modules are read by all CPUs at once; what is said of them and what becomes
// of them is in kmod's order. The text indexes list symbols, and modules that
// modules.order does not name, in the order of kmod's hash tables (hash.go).
package depmod
