// SPDX-License-Identifier: Apache-2.0

// Package entry has another entry point for static Linux programs: one that a
// process without descriptors 0 to 2 survives.
//
// The kernel starts its module helper with no open descriptors at all, and
// before /init runs there is no /dev/null either. A Go program then aborts
// before main, "cannot open standard fds" (runtime.checkfds). The entry here
// opens O_PATH descriptors on / until 0 to 2 are taken and jumps to the
// runtime's own entry. An O_PATH descriptor can be neither read nor written
// (EBADF, as with none), so that the program still sees that nobody listens.
//
// It takes effect when a program imports this package and is linked with
//
//	-ldflags '-E safeload/internal/entry.start'
//
// or with startHelper instead of start, which presets GOMAXPROCS=1 as well,
// keeps the runtime's monitor thread from waking all the time, and spares the
// runtime what is of no use to a short program (spare.go).
// Without the flag the program starts as any other.
package entry
