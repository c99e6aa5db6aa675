// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

DATA ·root+0(SB)/4, $0x2f
GLOBL ·root(SB), RODATA|NOPTR, $4

DATA ·single+0(SB)/8, $"GOMAXPRO"
DATA ·single+8(SB)/8, $"CS=1\x00\x00\x00\x00"
GLOBL ·single(SB), RODATA|NOPTR, $16

#define SYS_open	5
#define SYS_close	6
#define SYS_prctl	172
#define O_PATH		0x200000
#define PR_SET_TIMERSLACK	29
#define SLACK	5000000	// ns

TEXT ·start(SB), NOSPLIT|NOFRAME, $0
again:
	MOVW	$·root(SB), R0
	MOVW	$O_PATH, R1
	MOVW	$0, R2
	MOVW	$SYS_open, R7
	SWI	$0
	CMP	$2, R0
	BHI	close		// 3 and above, or an error as a huge unsigned
	B	again
close:
	CMP	$0, R0
	BLT	done
	MOVW	$SYS_close, R7
	SWI	$0
done:
	B	_rt0_arm_linux(SB)

// Moves argc, argv and the environment down by two words, and puts single into
// the gap before the environment's NULL, twice: SP stays aligned.
TEXT ·startHelper(SB), NOSPLIT|NOFRAME, $0
	MOVW	(R13), R0
	ADD	$8, R13, R1
	ADD	R0<<2, R1, R1
find:
	MOVW	(R1), R2
	ADD	$4, R1
	CMP	$0, R2
	BNE	find
	SUB	$4, R1		// the NULL
	MOVW	R13, R3
	SUB	$8, R13
move:
	CMP	R1, R3
	BEQ	put
	MOVW	(R3), R2
	MOVW	R2, -8(R3)
	ADD	$4, R3
	B	move
put:
	MOVW	$·single(SB), R2
	MOVW	R2, -8(R1)
	MOVW	R2, -4(R1)
	MOVW	$2, R2
	MOVB	R2, ·added(SB)
	MOVW	$PR_SET_TIMERSLACK, R0
	MOVW	$SLACK, R1
	MOVW	$SYS_prctl, R7
	SWI	$0
	B	·start(SB)
