// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

DATA ·root+0(SB)/8, $0x2f
GLOBL ·root(SB), RODATA|NOPTR, $8

DATA ·single+0(SB)/8, $"GOMAXPRO"
DATA ·single+8(SB)/8, $"CS=1\x00\x00\x00\x00"
GLOBL ·single(SB), RODATA|NOPTR, $16

#define SYS_open	2
#define SYS_close	3
#define SYS_prctl	157
#define O_PATH		0x200000
#define PR_SET_TIMERSLACK	29
#define SLACK	5000000	// ns

// At the entry the stack holds argc, argv and the environment; rdx is left
// alone as the ABI gives it a meaning (a function for atexit).
TEXT ·start(SB), NOSPLIT|NOFRAME, $0
	MOVQ	DX, R12
again:
	MOVQ	$·root(SB), DI
	MOVQ	$O_PATH, SI
	XORQ	DX, DX
	MOVQ	$SYS_open, AX
	SYSCALL
	CMPQ	AX, $2
	JHI	close		// 3 and above, or an error as a huge unsigned
	JMP	again
close:
	TESTQ	AX, AX
	JLT	done
	MOVQ	AX, DI
	MOVQ	$SYS_close, AX
	SYSCALL
done:
	MOVQ	R12, DX
	JMP	_rt0_amd64_linux(SB)

// Moves argc, argv and the environment down by two words, and puts single into
// the gap before the environment's NULL, twice: SP stays aligned.
TEXT ·startHelper(SB), NOSPLIT|NOFRAME, $0
	MOVQ	0(SP), CX
	LEAQ	16(SP)(CX*8), DI
find:
	MOVQ	(DI), AX
	ADDQ	$8, DI
	TESTQ	AX, AX
	JNE	find
	SUBQ	$8, DI		// the NULL
	MOVQ	SP, SI
	SUBQ	$16, SP
move:
	CMPQ	SI, DI
	JEQ	put
	MOVQ	(SI), AX
	MOVQ	AX, -16(SI)
	ADDQ	$8, SI
	JMP	move
put:
	MOVQ	$·single(SB), AX
	MOVQ	AX, -16(DI)
	MOVQ	AX, -8(DI)
	MOVB	$2, ·added(SB)
	MOVQ	$PR_SET_TIMERSLACK, DI
	MOVQ	$SLACK, SI
	MOVQ	$SYS_prctl, AX
	SYSCALL
	JMP	·start(SB)
