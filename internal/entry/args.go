// SPDX-License-Identifier: Apache-2.0

package entry

import _ "unsafe" // for go:linkname

// Args returns the program's arguments, as os.Args. Package os would add its
// own initialisation (three system calls, about 4 % of the start-up of a
// program that does nothing else).
//
//go:linkname Args os.runtime_args
func Args() []string
