// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

DATA ·root+0(SB)/8, $0x2f
GLOBL ·root(SB), RODATA|NOPTR, $8

DATA ·single+0(SB)/8, $"GOMAXPRO"
DATA ·single+8(SB)/8, $"CS=1\x00\x00\x00\x00"
GLOBL ·single(SB), RODATA|NOPTR, $16

DATA ·infinite+0(SB)/8, $-1
DATA ·infinite+8(SB)/8, $-1
GLOBL ·infinite(SB), RODATA|NOPTR, $16

#include "fallback.h"
#include "spare.h"

#define SYS_openat	56
#define SYS_close	57
#define SYS_write	64
#define SYS_munmap	215
#define SYS_execve	221
#define SYS_mmap	222
#define SYS_prlimit64	261
#define RLIMIT_DATA	2
#define RLIMIT_AS	9
#define AT_FDCWD	-100
#define SYS_prctl	167
#define O_WRONLY	1
#define O_CLOEXEC	0x80000
#define O_PATH		0x200000
#define PR_SET_TIMERSLACK	29
#define SLACK	5000000	// ns
#define PR_SET_THP_DISABLE	41
#define PR_GET_THP_DISABLE	42

#define RAISE(which, at) \
	MOVD	$0, R0; \
	MOVD	$which, R1; \
	MOVD	$·infinite(SB), R2; \
	MOVD	$·limits+at(SB), R3; \
	MOVD	$SYS_prlimit64, R8; \
	SVC

// Nothing was raised where the hard limit reads 0: then this fails, as no
// resource has that number.
#define LOWER(which, at) \
	MOVD	$·limits+at(SB), R2; \
	MOVD	8(R2), R4; \
	CMP	$0, R4; \
	MOVD	$which, R1; \
	CSINV	NE, R1, ZR, R1; \
	MOVD	$0, R0; \
	MOVD	$0, R3; \
	MOVD	$SYS_prlimit64, R8; \
	SVC

TEXT ·start(SB), NOSPLIT|NOFRAME, $0
	RAISE(RLIMIT_AS, 0)
	RAISE(RLIMIT_DATA, 16)
	B	·opened(SB)

TEXT ·opened(SB), NOSPLIT|NOFRAME, $0
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

// Where the memory that the runtime maps cannot be had, kmod is run instead, if
// it is there. Then moves argc, argv and the environment down by two words, and
// puts single into the gap before the environment's NULL, twice: SP stays
// aligned.
TEXT ·startHelper(SB), NOSPLIT|NOFRAME, $0
	RAISE(RLIMIT_AS, 0)
	RAISE(RLIMIT_DATA, 16)
	MOVD	$0, R0
	MOVD	$NEEDED, R1
	MOVD	$PROT, R2
	MOVD	$MAP, R3
	MOVD	$-1, R4
	MOVD	$0, R5
	MOVD	$SYS_mmap, R8
	SVC
	CMN	$4095, R0
	BHS	poor		// from -4095 on it is an error
	MOVD	$NEEDED, R1
	MOVD	$SYS_munmap, R8
	SVC
	B	ready
poor:
	MOVD	(RSP), R9
	CBZ	R9, ready	// no argv[0] to set
	ADD	$8, RSP, R10	// argv
	ADD	R9<<3, R10, R11
	ADD	$8, R11		// the environment
	MOVD	$2, R0
	MOVD	$·poverty(SB), R1
	MOVD	$POVERTY, R2
	MOVD	$SYS_write, R8
	SVC
	CMP	$0, R0
	BGE	said
	MOVD	$AT_FDCWD, R0
	MOVD	$·kmsg(SB), R1
	MOVD	$(O_WRONLY|O_CLOEXEC), R2
	MOVD	$0, R3
	MOVD	$SYS_openat, R8
	SVC
	CMP	$0, R0
	BLT	said
	MOVD	$·poverty(SB), R1
	MOVD	$POVERTY, R2
	MOVD	$SYS_write, R8
	SVC
said:
	LOWER(RLIMIT_AS, 0)
	LOWER(RLIMIT_DATA, 16)
	MOVD	(R10), R12
	MOVD	$·modprobe(SB), R0
	MOVD	R0, (R10)
	MOVD	$·kmod(SB), R0
	MOVD	R10, R1
	MOVD	R11, R2
	MOVD	$SYS_execve, R8
	SVC
	MOVD	$·kmod+4(SB), R0
	MOVD	R10, R1
	MOVD	R11, R2
	MOVD	$SYS_execve, R8
	SVC
	MOVD	R12, (R10)
	RAISE(RLIMIT_AS, 0)
	RAISE(RLIMIT_DATA, 16)
ready:
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
	MOVD	$PR_GET_THP_DISABLE, R0
	MOVD	$0, R1
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$0, R4
	MOVD	$SYS_prctl, R8
	SVC
	CBNZ	R0, kept	// it is so already, or cannot be
	MOVD	$PR_SET_THP_DISABLE, R0
	MOVD	$1, R1
	MOVD	$SYS_prctl, R8
	SVC
	CBNZ	R0, kept
	MOVD	$1, R2
	MOVB	R2, ·small(SB)
kept:
	B	·spare(SB)

#define PRLIMIT(which, set, get) \
	MOVD	$0, R0; \
	MOVD	$which, R1; \
	MOVD	set, R2; \
	MOVD	get, R3; \
	MOVD	$SYS_prlimit64, R8; \
	SVC

TEXT ·spare(SB), NOSPLIT|NOFRAME, $0
	MOVD	·rate(SB), R2
	MOVD	ZR, (R2)
	MOVD	·signals(SB), R2
	CBZ	R2, files
	MOVD	$·untouched(SB), R1
range:
	MOVBU	0(R1), R3
	MOVBU	1(R1), R4
	CBZ	R3, files
signal:
	ADD	R3<<1, R3, R5
	ADD	R5<<3, R2, R5
	MOVW	ZR, (R5)	// of 24 bytes the first four
	ADD	$1, R3
	CMP	R4, R3
	BLE	signal
	ADD	$2, R1
	B	range
files:
	PRLIMIT(RLIMIT_NOFILE, $0, $safeload∕internal∕entry∕early·files(SB))
	MOVD	$safeload∕internal∕entry∕early·files(SB), R4
	MOVD	0(R4), R1
	CMP	$STANDARD, R1
	BLS	few
	MOVD	$·fewer(SB), R5
	MOVD	$STANDARD, R1
	MOVD	R1, 0(R5)
	MOVD	8(R4), R1
	MOVD	R1, 8(R5)
	PRLIMIT(RLIMIT_NOFILE, $·fewer(SB), $0)
	B	·opened(SB)
few:
	MOVD	ZR, 0(R4)
	B	·opened(SB)
