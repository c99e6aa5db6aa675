// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package proc

// makeThreads makes n threads that are there at the same time, each made by the one
// before it, and returns once all of them have ended; errno is that of the one
// that could not be made. They do nothing and share the caller's stack, which
// waits for each (CLONE_VFORK); signals are blocked meanwhile.
//
//go:noescape
func makeThreads(n uintptr) (errno uintptr)
