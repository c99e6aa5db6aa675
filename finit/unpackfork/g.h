// SPDX-License-Identifier: Apache-2.0

// A g of zeroes, larger than the runtime's: its stack has no limit, wherever in
// it that is, and its m is nil. Nobody can write to it.
GLOBL ·zeroes(SB), RODATA|NOPTR, $1024
#define SIGCHLD	17
