// SPDX-License-Identifier: Apache-2.0

//go:build safeload_spare

package entry

import _ "unsafe" // for go:linkname

// handled is as the runtime's sigTabT: TestSignals holds it to that, on each
// architecture. scripts/build.sh links the helper with -checklinkname=0, as the
// linker lets nobody else have this name; SAFELOAD_SPARE=no leaves it out.
type handled struct {
	_ int32  // flags
	_ string // name
}

//go:linkname sigtable runtime.sigtable
var sigtable [65]handled

// signals is where the entry finds the table.
var signals = &sigtable
