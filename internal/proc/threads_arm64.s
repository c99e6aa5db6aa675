// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "threads.h"

#define SYS_exit	93
#define SYS_rt_sigprocmask	135
#define SYS_clone	220

// func makeThreads(n uintptr) (errno uintptr)
TEXT ·makeThreads(SB), NOSPLIT, $16-16
	MOVD	n+0(FP), R19
	MOVD	ZR, errno+8(FP)
	MOVD	$-1, R20
	MOVD	R20, mask-8(SP)
	MOVD	$SIG_SETMASK, R0
	MOVD	$mask-8(SP), R1
	MOVD	$was-16(SP), R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	MOVD	ZR, R20		// whether this is one that was made
next:
	MOVD	$THREAD, R0
	MOVD	ZR, R1
	MOVD	ZR, R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	MOVD	$SYS_clone, R8
	SVC
	CMP	$0, R0
	BEQ	made
	BGT	back
	NEG	R0, R0
	MOVD	R0, errno+8(FP)
back:
	CBNZ	R20, end
	MOVD	$SIG_SETMASK, R0
	MOVD	$was-16(SP), R1
	MOVD	ZR, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	RET
made:
	MOVD	$1, R20
	SUB	$1, R19
	CBNZ	R19, next
end:
	MOVD	ZR, R0
	MOVD	$SYS_exit, R8
	SVC
	BRK
