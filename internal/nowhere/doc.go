// SPDX-License-Identifier: Apache-2.0

// Package nowhere answers the question that the kernel asks most often, before
// Go's runtime is started: a name that exists nowhere. To start the runtime
// takes several times as long as to find that out.
//
// The entry point is start (entry_GOARCH.s). It takes effect when a program
// imports this package and is linked with
//
//	-ldflags '-E safeload/internal/nowhere.start'
//
// It asks [answer], which either ends the process with 1, or returns, and
// nothing has happened: then the program starts as by the entry startHelper of
// package entry. scripts/build.sh links the helper so; with
// SAFELOAD_ENTRY=entry.startHelper it leaves this room out.
//
// # The contract
//
// The code runs on the process's own stack, with a g (the runtime's goroutine)
// of zeroes in memory that cannot be written to. So, in this package and in
// internal/syntax:
//
//   - nothing allocates: no make, new, append, concatenation, map, interface
//     value, closure that escapes, or conversion between string and []byte;
//   - no pointer is stored into memory that outlives the call, which would
//     need a write barrier; what is kept lives in scratch;
//   - no defer, go, panic, select, range over a function; no call through an
//     interface or a function value;
//   - no package but unsafe, and the constants and types of syscall and
//     golang.org/x/sys/unix; system calls by sys alone;
//   - no comparison of strings and no copy but by same and put: they are calls,
//     and cost the page faults of another part of the program;
//   - no division by what is not a constant (32-bit ARM divides by a call);
//   - no writes to what the runtime's start reads.
//
// Bounds may be checked: a check that fails calls the runtime, which faults.
//
// TestCallGraph holds all builds to that: it walks the machine code from start
// and fails on any function of the runtime but a named few, and on any call
// whose target is not in the code. When a new version of Go makes it fail, look
// at what the function it names does with a g of zeroes; either write the code
// so that it is not called, or add it to that list with the reason. If neither
// can be done, build with the switch above: nothing but time is lost. Who else
// checks is in CONTRIBUTING.md.
//
// # A fault
//
// A bug here may cost time, but not a module: start has SIGSEGV and its like
// caught on a stack of their own, and the handler goes on to startHelper with
// everything as it was. TestFaults plants such bugs.
//
// # Never a wrong answer
//
// [answer] ends the process only if each index and each line of the
// configuration was read and understood. An error, a file that is too large, a
// special file, a directive or an option that is not known, a name with a
// bracket or a slash: the runtime starts, and package kmod answers. kmod says
// nothing on standard error then either, because of -q, but for lines of the
// configuration that it does not understand.
package nowhere
