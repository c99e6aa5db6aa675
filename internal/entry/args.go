// SPDX-License-Identifier: Apache-2.0

package entry

import _ "unsafe" // for go:linkname

// Args returns the program's arguments, as os.Args. Package os would add its
// own initialisation (three system calls, about 4 % of the start-up of a
// program that does nothing else).
//
//go:linkname Args os.runtime_args
func Args() []string

//go:linkname runtimeEnvs syscall.runtime_envs
func runtimeEnvs() []string

// Environ returns the environment as the process was given it. That is what
// os.Environ does, but for the map that it makes of the whole environment and
// for what startHelper added.
func Environ() []string {
	env := runtimeEnvs()
	return env[: len(env)-int(added) : len(env)-int(added)]
}
