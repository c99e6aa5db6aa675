// SPDX-License-Identifier: Apache-2.0

// What the entries share.

// A g of zeroes, larger than the runtime's: its stack has no limit, wherever in
// it that is, and its m is nil. Nobody can write to it.
GLOBL ·zeroes(SB), RODATA|NOPTR, $1024

// The signals of a fault, the same on all architectures: SIGILL, SIGTRAP,
// SIGBUS, SIGFPE, SIGSEGV.
DATA ·signals+0(SB)/8, $"\x04\x05\x07\x08\x0b\x00\x00\x00"
GLOBL ·signals(SB), RODATA|NOPTR, $8

// SA_ONSTACK, as the fault may be that of the stack; SA_NODEFER and
// SA_RESETHAND, as the handler does not return; SA_RESTORER.
#define FLAGS	0xCC000000

// The kernel writes a frame to it: on arm64 with SVE up to 9 KiB, on amd64 with
// AMX 11 KiB. Nobody touches it else.
#define STACK	(32<<10)
GLOBL ·stack(SB), NOPTR, $STACK
#define SS_DISABLE	2
