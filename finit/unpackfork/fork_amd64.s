// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "g.h"

#define SYS_clone	56
#define SYS_arch_prctl	158
#define ARCH_SET_FS	0x1002

// Go code that assembly calls finds g at -8(FS).
DATA ·tls+0(SB)/8, $·zeroes(SB)
DATA ·tls+8(SB)/8, $0
GLOBL ·tls(SB), RODATA|NOPTR, $16

// func fork(top unsafe.Pointer) int
TEXT ·fork(SB), NOSPLIT, $0-16
	MOVQ	top+0(FP), R12
	MOVQ	$SIGCHLD, DI
	XORQ	SI, SI
	XORQ	DX, DX
	XORQ	R10, R10
	XORQ	R8, R8
	MOVQ	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	MOVQ	AX, ret+8(FP)
	RET
child:
	MOVQ	R12, SP
	MOVQ	$ARCH_SET_FS, DI
	MOVQ	$·tls+8(SB), SI
	MOVQ	$SYS_arch_prctl, AX
	SYSCALL
	CALL	·decode(SB)
	INT	$3
