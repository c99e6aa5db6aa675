// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "g.h"

#define SYS_clone	120

// func fork(top unsafe.Pointer) int
TEXT ·fork(SB), NOSPLIT, $0-8
	MOVW	top+0(FP), R6
	MOVW	$SIGCHLD, R0
	MOVW	$0, R1
	MOVW	$0, R2
	MOVW	$0, R3
	MOVW	$0, R4
	MOVW	$SYS_clone, R7
	SWI	$0
	CMP	$0, R0
	BEQ	child
	MOVW	R0, ret+4(FP)
	RET
child:
	MOVW	R6, R13
	MOVW	$·zeroes(SB), g
	BL	·decode(SB)
	WORD	$0xe7f000f0	// undefined
