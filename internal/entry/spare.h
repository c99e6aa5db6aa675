// SPDX-License-Identifier: Apache-2.0

// What the entries share of what the runtime is spared: see spare.go.

// First and last numbers of signals that the runtime leaves alone. It has those
// of a fault; SIGPIPE, as something to write to that is gone must not end the
// program; SIGCHLD, which one that starts a process must not inherit as ignored;
// and SIGSETXID, by which syscall.AllThreadsSyscall works.
DATA ·untouched+0(SB)/8, $"\x01\x06\x09\x0a\x0c\x0c\x0e\x10"
DATA ·untouched+8(SB)/8, $"\x12\x1f\x22\x40\x00\x00\x00\x00"
GLOBL ·untouched(SB), RODATA|NOPTR, $16

#define RLIMIT_NOFILE	7
#define STANDARD	3	// descriptors
