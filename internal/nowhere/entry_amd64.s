// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "entry.h"

#define SYS_rt_sigaction	13
#define SYS_sigaltstack	131
#define SYS_arch_prctl	158
#define ARCH_SET_FS	0x1002
#define SIGACTION	32	// its size
#define SIGSET	8

// struct sigaction of the kernel: handler, flags, restorer (which must be
// there, though nobody returns by it), mask.
DATA ·action+0(SB)/8, $·caught(SB)
DATA ·action+8(SB)/8, $FLAGS
DATA ·action+16(SB)/8, $·caught(SB)
DATA ·action+24(SB)/8, $0
GLOBL ·action(SB), RODATA|NOPTR, $32

// stack_t: address, flags, size.
DATA ·other+0(SB)/8, $·stack(SB)
DATA ·other+8(SB)/8, $0
DATA ·other+16(SB)/8, $STACK
GLOBL ·other(SB), RODATA|NOPTR, $24
DATA ·none+0(SB)/8, $0
DATA ·none+8(SB)/8, $SS_DISABLE
DATA ·none+16(SB)/8, $0
GLOBL ·none(SB), RODATA|NOPTR, $24

// Go code that assembly calls finds g at -8(FS).
DATA ·tls+0(SB)/8, $·zeroes(SB)
DATA ·tls+8(SB)/8, $0
GLOBL ·tls(SB), RODATA|NOPTR, $16

// At the entry the stack holds argc, argv and the environment; rdx may be a
// function for atexit, and is passed on.
TEXT ·start(SB), NOSPLIT|NOFRAME, $0
	MOVQ	SP, ·scratch+0(SB)
	MOVQ	DX, ·scratch+8(SB)
	MOVQ	$·other(SB), DI
	XORQ	SI, SI
	MOVQ	$SYS_sigaltstack, AX
	SYSCALL
	TESTQ	AX, AX
	JNE	without
	MOVQ	$·signals(SB), R12
	MOVQ	$·scratch+16(SB), R13
next:
	MOVBQZX	(R12), DI
	TESTQ	DI, DI
	JEQ	ask
	MOVQ	$·action(SB), SI
	MOVQ	R13, DX
	MOVQ	$SIGSET, R10
	MOVQ	$SYS_rt_sigaction, AX
	SYSCALL
	INCQ	R12
	ADDQ	$SIGACTION, R13
	JMP	next
ask:
	MOVQ	$ARCH_SET_FS, DI
	MOVQ	$·tls+8(SB), SI
	MOVQ	$SYS_arch_prctl, AX
	SYSCALL
	TESTQ	AX, AX
	JNE	back
	MOVQ	SP, AX
	SUBQ	$16, SP
	MOVQ	AX, 0(SP)
	CALL	·answer(SB)
back:
	JMP	·caught(SB)
without:
	MOVQ	·scratch+8(SB), DX
	JMP	safeload∕internal∕entry·startHelper(SB)

// caught goes on as if nothing had been: after answer has returned, and as the
// handler of a signal.
TEXT ·caught(SB), NOSPLIT|NOFRAME, $0
	MOVQ	·scratch+0(SB), SP
	MOVQ	$·signals(SB), R12
	MOVQ	$·scratch+16(SB), R13
next:
	MOVBQZX	(R12), DI
	TESTQ	DI, DI
	JEQ	done
	MOVQ	R13, SI
	XORQ	DX, DX
	MOVQ	$SIGSET, R10
	MOVQ	$SYS_rt_sigaction, AX
	SYSCALL
	INCQ	R12
	ADDQ	$SIGACTION, R13
	JMP	next
done:
	MOVQ	$·none(SB), DI
	XORQ	SI, SI
	MOVQ	$SYS_sigaltstack, AX
	SYSCALL
	MOVQ	·scratch+8(SB), DX
	JMP	safeload∕internal∕entry·startHelper(SB)

// func sys(nr, a, b, c, d, e, f uintptr) uintptr
TEXT ·sys(SB), NOSPLIT, $0-64
	MOVQ	nr+0(FP), AX
	MOVQ	a+8(FP), DI
	MOVQ	b+16(FP), SI
	MOVQ	c+24(FP), DX
	MOVQ	d+32(FP), R10
	MOVQ	e+40(FP), R8
	MOVQ	f+48(FP), R9
	SYSCALL
	MOVQ	AX, ret+56(FP)
	RET
