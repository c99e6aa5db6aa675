// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "death.h"

#define SYS_rt_sigaction	13
#define SYS_rt_sigprocmask	14
#define SYS_getpid	39
#define SYS_clone	56
#define SYS_exit	60
#define SYS_prctl	157
#define SYS_gettid	186
#define SYS_futex	202
#define SYS_exit_group	231
#define SYS_tgkill	234

// The default action, and the set that has SIGSEGV.
GLOBL ·fatal(SB), RODATA|NOPTR, $32
DATA ·segv+0(SB)/8, $0x400
GLOBL ·segv(SB), RODATA|NOPTR, $8

// func clone(w *witness, top unsafe.Pointer) int
TEXT ·clone(SB), NOSPLIT, $0-24
	MOVQ	w+0(FP), R12
	MOVQ	top+8(FP), SI
	MOVQ	$CLONE, DI
	LEAQ	TID(R12), DX
	MOVQ	DX, R10
	XORQ	R8, R8
	MOVQ	$SYS_clone, AX
	SYSCALL
	TESTQ	AX, AX
	JEQ	look
	MOVQ	AX, ret+16(FP)
	RET
look:
	MOVL	WORD(R12), AX
	CMPL	AX, $IN_CALL
	JNE	over
	LEAQ	WORD(R12), DI
	XORQ	SI, SI		// FUTEX_WAIT
	MOVQ	$IN_CALL, DX
	XORQ	R10, R10
	MOVQ	$SYS_futex, AX
	SYSCALL
	TESTQ	AX, AX
	JEQ	look
	CMPQ	AX, $-EAGAIN
	JEQ	look
	CMPQ	AX, $-EINTR
	JEQ	look
	JMP	end		// no futex to sleep on
over:
	CMPL	AX, $DIED
	JNE	end
	MOVQ	$PR_SET_DUMPABLE, DI	// kmod leaves no core either
	XORQ	SI, SI
	MOVQ	$SYS_prctl, AX
	SYSCALL
	MOVQ	$SIGSEGV, DI
	MOVQ	$·fatal(SB), SI
	XORQ	DX, DX
	MOVQ	$SIGSET, R10
	MOVQ	$SYS_rt_sigaction, AX
	SYSCALL
	MOVQ	$SIG_UNBLOCK, DI
	MOVQ	$·segv(SB), SI
	XORQ	DX, DX
	MOVQ	$SIGSET, R10
	MOVQ	$SYS_rt_sigprocmask, AX
	SYSCALL
	MOVQ	$SYS_getpid, AX
	SYSCALL
	MOVQ	AX, R13
	MOVQ	$SYS_gettid, AX
	SYSCALL
	MOVQ	R13, DI
	MOVQ	AX, SI
	MOVQ	$SIGSEGV, DX
	MOVQ	$SYS_tgkill, AX
	SYSCALL
	MOVQ	$STATUS, DI
	MOVQ	$SYS_exit_group, AX
	SYSCALL
end:
	XORQ	DI, DI
	MOVQ	$SYS_exit, AX
	SYSCALL
	JMP	end
