// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "death.h"

#define SYS_exit	1
#define SYS_getpid	20
#define SYS_clone	120
#define SYS_prctl	172
#define SYS_rt_sigaction	174
#define SYS_rt_sigprocmask	175
#define SYS_gettid	224
#define SYS_futex	240
#define SYS_exit_group	248
#define SYS_tgkill	268

// The default action, and the set that has SIGSEGV.
GLOBL ·fatal(SB), RODATA|NOPTR, $20
DATA ·segv+0(SB)/4, $0x400
DATA ·segv+4(SB)/4, $0
GLOBL ·segv(SB), RODATA|NOPTR, $8

// func clone(w *witness, top unsafe.Pointer) int
TEXT ·clone(SB), NOSPLIT, $0-12
	MOVW	w+0(FP), R8
	MOVW	top+4(FP), R1
	MOVW	$CLONE, R0
	ADD	$TID, R8, R2
	MOVW	$0, R3
	MOVW	R2, R4
	MOVW	$SYS_clone, R7
	SWI	$0
	CMP	$0, R0
	BEQ	look
	MOVW	R0, ret+8(FP)
	RET
look:
	MOVW	WORD(R8), R0
	CMP	$IN_CALL, R0
	BNE	over
	ADD	$WORD, R8, R0
	MOVW	$0, R1		// FUTEX_WAIT
	MOVW	$IN_CALL, R2
	MOVW	$0, R3
	MOVW	$SYS_futex, R7
	SWI	$0
	CMP	$0, R0
	BEQ	look
	CMP	$-EAGAIN, R0
	BEQ	look
	CMP	$-EINTR, R0
	BEQ	look
	B	end		// no futex to sleep on
over:
	CMP	$DIED, R0
	BNE	end
	MOVW	$PR_SET_DUMPABLE, R0	// kmod leaves no core either
	MOVW	$0, R1
	MOVW	$SYS_prctl, R7
	SWI	$0
	MOVW	$SIGSEGV, R0
	MOVW	$·fatal(SB), R1
	MOVW	$0, R2
	MOVW	$SIGSET, R3
	MOVW	$SYS_rt_sigaction, R7
	SWI	$0
	MOVW	$SIG_UNBLOCK, R0
	MOVW	$·segv(SB), R1
	MOVW	$0, R2
	MOVW	$SIGSET, R3
	MOVW	$SYS_rt_sigprocmask, R7
	SWI	$0
	MOVW	$SYS_getpid, R7
	SWI	$0
	MOVW	R0, R6
	MOVW	$SYS_gettid, R7
	SWI	$0
	MOVW	R0, R1
	MOVW	R6, R0
	MOVW	$SIGSEGV, R2
	MOVW	$SYS_tgkill, R7
	SWI	$0
	MOVW	$STATUS, R0
	MOVW	$SYS_exit_group, R7
	SWI	$0
end:
	MOVW	$0, R0
	MOVW	$SYS_exit, R7
	SWI	$0
	B	end
