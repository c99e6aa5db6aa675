// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "entry.h"

#define SYS_sigaltstack	132
#define SYS_rt_sigaction	134
#define SIGACTION	32	// its size
#define SIGSET	8

// struct sigaction of the kernel: handler, flags, restorer, mask.
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

// At the entry the stack holds argc, argv and the environment.
TEXT ·start(SB), NOSPLIT|NOFRAME, $0
	MOVD	RSP, R0
	MOVD	R0, ·scratch+0(SB)
	MOVD	$·other(SB), R0
	MOVD	$0, R1
	MOVD	$SYS_sigaltstack, R8
	SVC
	CBNZ	R0, without
	MOVD	$·signals(SB), R9
	MOVD	$·scratch+16(SB), R10
next:
	MOVBU	(R9), R0
	CBZ	R0, ask
	MOVD	$·action(SB), R1
	MOVD	R10, R2
	MOVD	$SIGSET, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
	ADD	$1, R9
	ADD	$SIGACTION, R10
	B	next
ask:
	MOVD	RSP, R0
	SUB	$16, RSP
	MOVD	R0, 8(RSP)
	MOVD	$·zeroes(SB), g
	BL	·answer(SB)
	B	·caught(SB)
without:
	B	safeload∕internal∕entry·startHelper(SB)

// caught goes on as if nothing had been: after answer has returned, and as the
// handler of a signal.
TEXT ·caught(SB), NOSPLIT|NOFRAME, $0
	MOVD	·scratch+0(SB), R0
	MOVD	R0, RSP
	MOVD	$·signals(SB), R9
	MOVD	$·scratch+16(SB), R10
next:
	MOVBU	(R9), R0
	CBZ	R0, done
	MOVD	R10, R1
	MOVD	$0, R2
	MOVD	$SIGSET, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
	ADD	$1, R9
	ADD	$SIGACTION, R10
	B	next
done:
	MOVD	$·none(SB), R0
	MOVD	$0, R1
	MOVD	$SYS_sigaltstack, R8
	SVC
	B	safeload∕internal∕entry·startHelper(SB)

// func sys(nr, a, b, c, d, e, f uintptr) uintptr
TEXT ·sys(SB), NOSPLIT, $0-64
	MOVD	nr+0(FP), R8
	MOVD	a+8(FP), R0
	MOVD	b+16(FP), R1
	MOVD	c+24(FP), R2
	MOVD	d+32(FP), R3
	MOVD	e+40(FP), R4
	MOVD	f+48(FP), R5
	SVC
	MOVD	R0, ret+56(FP)
	RET
