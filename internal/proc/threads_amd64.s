// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "threads.h"

#define SYS_rt_sigprocmask	14
#define SYS_clone	56
#define SYS_exit	60

// func makeThreads(n uintptr) (errno uintptr)
TEXT ·makeThreads(SB), NOSPLIT, $16-16
	MOVQ	n+0(FP), R12
	MOVQ	$0, errno+8(FP)
	MOVQ	$-1, R13
	MOVQ	R13, mask-8(SP)
	MOVQ	$SIG_SETMASK, DI
	LEAQ	mask-8(SP), SI
	LEAQ	was-16(SP), DX
	MOVQ	$8, R10
	MOVQ	$SYS_rt_sigprocmask, AX
	SYSCALL
	MOVQ	$0, R13		// whether this is one that was made
next:
	MOVQ	$THREAD, DI
	MOVQ	$0, SI
	MOVQ	$0, DX
	MOVQ	$0, R10
	MOVQ	$0, R8
	MOVQ	$SYS_clone, AX
	SYSCALL
	CMPQ	AX, $0
	JEQ	made
	JGT	back
	NEGQ	AX
	MOVQ	AX, errno+8(FP)
back:
	CMPQ	R13, $0
	JNE	end
	MOVQ	$SIG_SETMASK, DI
	LEAQ	was-16(SP), SI
	MOVQ	$0, DX
	MOVQ	$8, R10
	MOVQ	$SYS_rt_sigprocmask, AX
	SYSCALL
	RET
made:
	MOVQ	$1, R13
	SUBQ	$1, R12
	JNE	next
end:
	MOVQ	$0, DI
	MOVQ	$SYS_exit, AX
	SYSCALL
	INT	$3
