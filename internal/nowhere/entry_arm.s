// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "entry.h"

#define SYS_rt_sigaction	174
#define SYS_sigaltstack	186
#define SIGACTION	20	// its size
#define SIGSET	8

// struct sigaction of the kernel: handler, flags, restorer, mask.
DATA ·action+0(SB)/4, $·caught(SB)
DATA ·action+4(SB)/4, $FLAGS
DATA ·action+8(SB)/4, $·caught(SB)
DATA ·action+12(SB)/4, $0
DATA ·action+16(SB)/4, $0
GLOBL ·action(SB), RODATA|NOPTR, $20

// stack_t: address, flags, size.
DATA ·other+0(SB)/4, $·stack(SB)
DATA ·other+4(SB)/4, $0
DATA ·other+8(SB)/4, $STACK
GLOBL ·other(SB), RODATA|NOPTR, $12
DATA ·none+0(SB)/4, $0
DATA ·none+4(SB)/4, $SS_DISABLE
DATA ·none+8(SB)/4, $0
GLOBL ·none(SB), RODATA|NOPTR, $12


// At the entry the stack holds argc, argv and the environment.
TEXT ·start(SB), NOSPLIT|NOFRAME, $0
	MOVW	R13, ·scratch+0(SB)
	MOVW	$·other(SB), R0
	MOVW	$0, R1
	MOVW	$SYS_sigaltstack, R7
	SWI	$0
	CMP	$0, R0
	BNE	without
	MOVW	$·signals(SB), R5
	MOVW	$·scratch+8(SB), R6
next:
	MOVBU	(R5), R0
	CMP	$0, R0
	BEQ	ask
	MOVW	$·action(SB), R1
	MOVW	R6, R2
	MOVW	$SIGSET, R3
	MOVW	$SYS_rt_sigaction, R7
	SWI	$0
	ADD	$1, R5
	ADD	$SIGACTION, R6
	B	next
ask:
	MOVW	R13, R0
	SUB	$8, R13
	MOVW	R0, 4(R13)
	MOVW	$·zeroes(SB), g
	BL	·answer(SB)
	B	·caught(SB)
without:
	B	safeload∕internal∕entry·startHelper(SB)

// caught goes on as if nothing had been: after answer has returned, and as the
// handler of a signal.
TEXT ·caught(SB), NOSPLIT|NOFRAME, $0
	MOVW	·scratch+0(SB), R0
	MOVW	R0, R13
	MOVW	$·signals(SB), R5
	MOVW	$·scratch+8(SB), R6
next:
	MOVBU	(R5), R0
	CMP	$0, R0
	BEQ	done
	MOVW	R6, R1
	MOVW	$0, R2
	MOVW	$SIGSET, R3
	MOVW	$SYS_rt_sigaction, R7
	SWI	$0
	ADD	$1, R5
	ADD	$SIGACTION, R6
	B	next
done:
	MOVW	$·none(SB), R0
	MOVW	$0, R1
	MOVW	$SYS_sigaltstack, R7
	SWI	$0
	B	safeload∕internal∕entry·startHelper(SB)

// func sys(nr, a, b, c, d, e, f uintptr) uintptr
TEXT ·sys(SB), NOSPLIT, $0-32
	MOVW	nr+0(FP), R7
	MOVW	a+4(FP), R0
	MOVW	b+8(FP), R1
	MOVW	c+12(FP), R2
	MOVW	d+16(FP), R3
	MOVW	e+20(FP), R4
	MOVW	f+24(FP), R5
	SWI	$0
	MOVW	R0, ret+28(FP)
	RET
