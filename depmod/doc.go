// SPDX-License-Identifier: Apache-2.0

// Package depmod is the program depmod(8), as kmod's version 34 has it: the
// same indexes to the byte, messages and exit codes.
//
// All CPUs read modules at once. Messages and indexes are in kmod's order: symbols,
// and modules that modules.order does not name, are listed in the order of kmod's
// hash tables (hash.go).
package depmod
