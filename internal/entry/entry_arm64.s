// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

DATA ·root+0(SB)/8, $0x2f
GLOBL ·root(SB), RODATA|NOPTR, $8

DATA ·single+0(SB)/8, $"GOMAXPRO"
DATA ·single+8(SB)/8, $"CS=1\x00\x00\x00\x00"
GLOBL ·single(SB), RODATA|NOPTR, $16

#define SYS_openat	56
#define SYS_close	57
#define AT_FDCWD	-100
#define SYS_prctl	167
#define O_PATH		0x200000
#define PR_SET_TIMERSLACK	29
#define SLACK	5000000	// ns

TEXT ·start(SB), NOSPLIT|NOFRAME, $0
again:
	MOVD	$AT_FDCWD, R0
	MOVD	$·root(SB), R1
	MOVD	$O_PATH, R2
	MOVD	$0, R3
	MOVD	$SYS_openat, R8
	SVC
	CMP	$2, R0
	BHI	close		// 3 and above, or an error as a huge unsigned
	B	again
close:
	CMP	$0, R0
	BLT	done
	MOVD	$SYS_close, R8
	SVC
done:
	B	_rt0_arm64_linux(SB)

// Moves argc, argv and the environment down by two words, and puts single into
// the gap before the environment's NULL, twice: SP stays aligned.
TEXT ·startHelper(SB), NOSPLIT|NOFRAME, $0
	MOVD	(RSP), R0
	ADD	$16, RSP, R1
	ADD	R0<<3, R1, R1
find:
	MOVD	(R1), R2
	ADD	$8, R1
	CBNZ	R2, find
	SUB	$8, R1		// the NULL
	MOVD	RSP, R3
	SUB	$16, RSP
move:
	CMP	R1, R3
	BEQ	put
	MOVD	(R3), R2
	MOVD	R2, -16(R3)
	ADD	$8, R3
	B	move
put:
	MOVD	$·single(SB), R2
	MOVD	R2, -16(R1)
	MOVD	R2, -8(R1)
	MOVD	$2, R2
	MOVB	R2, ·added(SB)
	MOVD	$PR_SET_TIMERSLACK, R0
	MOVD	$SLACK, R1
	MOVD	$SYS_prctl, R8
	SVC
	B	·start(SB)
