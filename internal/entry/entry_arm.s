// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

DATA ·root+0(SB)/4, $0x2f
GLOBL ·root(SB), RODATA|NOPTR, $4

DATA ·single+0(SB)/8, $"GOMAXPRO"
DATA ·single+8(SB)/8, $"CS=1\x00\x00\x00\x00"
GLOBL ·single(SB), RODATA|NOPTR, $16

// Of 32 bits the runtime maps less, and what it maps it mostly uses.
#define NEEDED	(24<<20)
#include "fallback.h"
#include "spare.h"

#define SYS_write	4
#define SYS_open	5
#define SYS_close	6
#define SYS_execve	11
#define SYS_munmap	91
#define SYS_prctl	172
#define SYS_mmap2	192
#define SYS_prlimit64	369
#define O_WRONLY	1
#define O_CLOEXEC	0x80000
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

// Where the memory that the runtime maps cannot be had, kmod is run instead, if
// it is there. Then moves argc, argv and the environment down by two words, and
// puts single into the gap before the environment's NULL, twice: SP stays
// aligned.
TEXT ·startHelper(SB), NOSPLIT|NOFRAME, $0
	MOVW	$0, R0
	MOVW	$NEEDED, R1
	MOVW	$PROT, R2
	MOVW	$MAP, R3
	MOVW	$-1, R4
	MOVW	$0, R5
	MOVW	$SYS_mmap2, R7
	SWI	$0
	MOVW	$-4096, R1
	CMP	R1, R0
	BHI	poor
	MOVW	$NEEDED, R1
	MOVW	$SYS_munmap, R7
	SWI	$0
	B	ready
poor:
	MOVW	(R13), R9
	CMP	$0, R9
	BEQ	ready		// no argv[0] to set
	ADD	$8, R13, R8
	ADD	R9<<2, R8, R8	// the environment
	MOVW	$2, R0
	MOVW	$·poverty(SB), R1
	MOVW	$POVERTY, R2
	MOVW	$SYS_write, R7
	SWI	$0
	CMP	$0, R0
	BGE	said
	MOVW	$·kmsg(SB), R0
	MOVW	$(O_WRONLY|O_CLOEXEC), R1
	MOVW	$0, R2
	MOVW	$SYS_open, R7
	SWI	$0
	CMP	$0, R0
	BLT	said
	MOVW	$·poverty(SB), R1
	MOVW	$POVERTY, R2
	MOVW	$SYS_write, R7
	SWI	$0
said:
	MOVW	4(R13), R6
	MOVW	$·modprobe(SB), R2
	MOVW	R2, 4(R13)
	MOVW	$·kmod(SB), R0
	ADD	$4, R13, R1
	MOVW	R8, R2
	MOVW	$SYS_execve, R7
	SWI	$0
	MOVW	$·kmod+4(SB), R0
	ADD	$4, R13, R1
	MOVW	R8, R2
	MOVW	$SYS_execve, R7
	SWI	$0
	MOVW	R6, 4(R13)
ready:
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
	B	·spare(SB)

#define PRLIMIT(which, set, get) \
	MOVW	$0, R0; \
	MOVW	$which, R1; \
	MOVW	set, R2; \
	MOVW	get, R3; \
	MOVW	$SYS_prlimit64, R7; \
	SWI	$0

TEXT ·spare(SB), NOSPLIT|NOFRAME, $0
	MOVW	$0, R0
	MOVW	·rate(SB), R2
	MOVW	R0, (R2)
	MOVW	·signals(SB), R2
	CMP	$0, R2
	BEQ	files
	MOVW	$·untouched(SB), R1
range:
	MOVBU	0(R1), R3
	MOVBU	1(R1), R4
	CMP	$0, R3
	BEQ	files
signal:
	ADD	R3<<1, R3, R5
	ADD	R5<<2, R2, R5
	MOVW	R0, (R5)	// of 12 bytes the first four
	ADD	$1, R3
	CMP	R4, R3
	BLE	signal
	ADD	$2, R1
	B	range
files:
	PRLIMIT(RLIMIT_NOFILE, $0, $safeload∕internal∕entry∕early·files(SB))
	MOVW	$safeload∕internal∕entry∕early·files(SB), R4
	MOVW	4(R4), R1	// more than 32 bits is infinity
	CMP	$0, R1
	BNE	many
	MOVW	0(R4), R1
	CMP	$STANDARD, R1
	BLS	few
many:
	MOVW	$·fewer(SB), R5
	MOVW	$STANDARD, R1
	MOVW	R1, 0(R5)
	MOVW	8(R4), R1
	MOVW	R1, 8(R5)
	MOVW	12(R4), R1
	MOVW	R1, 12(R5)
	PRLIMIT(RLIMIT_NOFILE, $·fewer(SB), $0)
	B	·start(SB)
few:
	MOVW	$0, R1
	MOVW	R1, 0(R4)
	B	·start(SB)
