// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "g.h"

#define SYS_clone	220

// func fork(top unsafe.Pointer) int
TEXT ·fork(SB), NOSPLIT, $0-16
	MOVD	top+0(FP), R9
	MOVD	$SIGCHLD, R0
	MOVD	$0, R1
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, child
	MOVD	R0, ret+8(FP)
	RET
child:
	MOVD	R9, RSP
	MOVD	$·zeroes(SB), g
	BL	·decode(SB)
	BRK	$0
