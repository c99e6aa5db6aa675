// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "death.h"

#define SYS_exit	93
#define SYS_exit_group	94
#define SYS_futex	98
#define SYS_tgkill	131
#define SYS_rt_sigaction	134
#define SYS_rt_sigprocmask	135
#define SYS_prctl	167
#define SYS_getpid	172
#define SYS_gettid	178
#define SYS_clone	220

// The default action, and the set that has SIGSEGV.
GLOBL ·fatal(SB), RODATA|NOPTR, $32
DATA ·segv+0(SB)/8, $0x400
GLOBL ·segv(SB), RODATA|NOPTR, $8

// func clone(w *witness, top unsafe.Pointer) int
TEXT ·clone(SB), NOSPLIT, $0-24
	MOVD	w+0(FP), R9
	MOVD	top+8(FP), R1
	MOVD	$CLONE, R0
	ADD	$TID, R9, R2
	MOVD	$0, R3
	MOVD	R2, R4
	MOVD	$SYS_clone, R8
	SVC
	CBZ	R0, look
	MOVD	R0, ret+16(FP)
	RET
look:
	MOVWU	WORD(R9), R0
	CMP	$IN_CALL, R0
	BNE	over
	ADD	$WORD, R9, R0
	MOVD	$0, R1		// FUTEX_WAIT
	MOVD	$IN_CALL, R2
	MOVD	$0, R3
	MOVD	$SYS_futex, R8
	SVC
	CBZ	R0, look
	CMN	$EAGAIN, R0
	BEQ	look
	CMN	$EINTR, R0
	BEQ	look
	B	end		// no futex to sleep on
over:
	CBNZ	R0, end
	MOVD	$PR_SET_DUMPABLE, R0	// kmod leaves no core either
	MOVD	$0, R1
	MOVD	$SYS_prctl, R8
	SVC
	MOVD	$SIGSEGV, R0
	MOVD	$·fatal(SB), R1
	MOVD	$0, R2
	MOVD	$SIGSET, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
	MOVD	$SIG_UNBLOCK, R0
	MOVD	$·segv(SB), R1
	MOVD	$0, R2
	MOVD	$SIGSET, R3
	MOVD	$SYS_rt_sigprocmask, R8
	SVC
	MOVD	$SYS_getpid, R8
	SVC
	MOVD	R0, R10
	MOVD	$SYS_gettid, R8
	SVC
	MOVD	R0, R1
	MOVD	R10, R0
	MOVD	$SIGSEGV, R2
	MOVD	$SYS_tgkill, R8
	SVC
	MOVD	$STATUS, R0
	MOVD	$SYS_exit_group, R8
	SVC
end:
	MOVD	$0, R0
	MOVD	$SYS_exit, R8
	SVC
	B	end
