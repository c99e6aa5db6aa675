// SPDX-License-Identifier: Apache-2.0

// Package helper draws in what stands before the main function of the kernel's
// helper: its entry points and the first initialiser.
//
// It is a package of its own for its name: the linker lays packages out as they
// are imported, in the order of their paths, and so puts nowhere beside syntax,
// which it calls. What is touched before the runtime starts is then in one
// piece: apart, they cost one page fault more, a tenth of such a start.
package helper

import (
	_ "safeload/internal/entry"
	_ "safeload/internal/entry/early"
	_ "safeload/internal/nowhere"
)
