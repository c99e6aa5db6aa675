// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "threads.h"

#define SYS_exit	1
#define SYS_clone	120
#define SYS_rt_sigprocmask	175

// func makeThreads(n uintptr) (errno uintptr)
TEXT ·makeThreads(SB), NOSPLIT, $16-8
	MOVW	n+0(FP), R8
	MOVW	$0, R9		// whether this is one that was made
	MOVW	R9, errno+4(FP)
	MOVW	$-1, R0
	MOVW	R0, mask-8(SP)
	MOVW	R0, mask-4(SP)
	MOVW	$SIG_SETMASK, R0
	MOVW	$mask-8(SP), R1
	MOVW	$was-16(SP), R2
	MOVW	$8, R3
	MOVW	$SYS_rt_sigprocmask, R7
	SWI	$0
next:
	MOVW	$THREAD, R0
	MOVW	$0, R1
	MOVW	$0, R2
	MOVW	$0, R3
	MOVW	$0, R4
	MOVW	$SYS_clone, R7
	SWI	$0
	CMP	$0, R0
	BEQ	made
	BGT	back
	RSB	$0, R0, R0
	MOVW	R0, errno+4(FP)
back:
	CMP	$0, R9
	BNE	end
	MOVW	$SIG_SETMASK, R0
	MOVW	$was-16(SP), R1
	MOVW	$0, R2
	MOVW	$8, R3
	MOVW	$SYS_rt_sigprocmask, R7
	SWI	$0
	RET
made:
	MOVW	$1, R9
	SUB.S	$1, R8
	BNE	next
end:
	MOVW	$0, R0
	MOVW	$SYS_exit, R7
	SWI	$0
	WORD	$0xe7f001f0	// an undefined instruction
