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

#define SYS_write	1
#define SYS_open	2
#define SYS_close	3
#define SYS_prctl	157
#define SYS_mmap	9
#define SYS_munmap	11
#define SYS_execve	59
#define SYS_prlimit64	302
#define RLIMIT_DATA	2
#define RLIMIT_AS	9
#define O_WRONLY	1
#define O_CLOEXEC	0x80000
#define O_PATH		0x200000
#define PR_SET_TIMERSLACK	29
#define SLACK	5000000	// ns
#define PR_SET_THP_DISABLE	41
#define PR_GET_THP_DISABLE	42

#define RAISE(which, at) \
	XORQ	DI, DI; \
	MOVQ	$which, SI; \
	MOVQ	$·infinite(SB), DX; \
	MOVQ	$·limits+at(SB), R10; \
	MOVQ	$SYS_prlimit64, AX; \
	SYSCALL

// Nothing was raised where the hard limit reads 0.
#define LOWER(which, at) \
	MOVQ	·limits+at+8(SB), AX; \
	TESTQ	AX, AX; \
	JEQ	7(PC); \
	XORQ	DI, DI; \
	MOVQ	$which, SI; \
	MOVQ	$·limits+at(SB), DX; \
	XORQ	R10, R10; \
	MOVQ	$SYS_prlimit64, AX; \
	SYSCALL

// At the entry the stack holds argc, argv and the environment; rdx is left
// alone as the ABI gives it a meaning (a function for atexit).
TEXT ·start(SB), NOSPLIT|NOFRAME, $0
	MOVQ	DX, R12
	RAISE(RLIMIT_AS, 0)
	RAISE(RLIMIT_DATA, 16)
	JMP	·opened(SB)

TEXT ·opened(SB), NOSPLIT|NOFRAME, $0
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

// Where the memory that the runtime maps cannot be had, kmod is run instead, if
// it is there. Then moves argc, argv and the environment down by two words, and
// puts single into the gap before the environment's NULL, twice: SP stays
// aligned.
TEXT ·startHelper(SB), NOSPLIT|NOFRAME, $0
	MOVQ	DX, R12
	RAISE(RLIMIT_AS, 0)
	RAISE(RLIMIT_DATA, 16)
	XORQ	DI, DI
	MOVQ	$NEEDED, SI
	MOVQ	$PROT, DX
	MOVQ	$MAP, R10
	MOVQ	$-1, R8
	XORQ	R9, R9
	MOVQ	$SYS_mmap, AX
	SYSCALL
	CMPQ	AX, $-4096
	JHI	poor
	MOVQ	AX, DI
	MOVQ	$NEEDED, SI
	MOVQ	$SYS_munmap, AX
	SYSCALL
	JMP	ready
poor:
	MOVQ	0(SP), CX
	TESTQ	CX, CX
	JEQ	ready		// no argv[0] to set
	LEAQ	16(SP)(CX*8), R14	// the environment
	MOVQ	$2, DI
	MOVQ	$·poverty(SB), SI
	MOVQ	$POVERTY, DX
	MOVQ	$SYS_write, AX
	SYSCALL
	TESTQ	AX, AX
	JGE	said
	MOVQ	$·kmsg(SB), DI
	MOVQ	$(O_WRONLY|O_CLOEXEC), SI
	XORQ	DX, DX
	MOVQ	$SYS_open, AX
	SYSCALL
	TESTQ	AX, AX
	JLT	said
	MOVQ	AX, DI
	MOVQ	$·poverty(SB), SI
	MOVQ	$POVERTY, DX
	MOVQ	$SYS_write, AX
	SYSCALL
said:
	LOWER(RLIMIT_AS, 0)
	LOWER(RLIMIT_DATA, 16)
	MOVQ	8(SP), R13
	MOVQ	$·modprobe(SB), AX
	MOVQ	AX, 8(SP)
	MOVQ	$·kmod(SB), DI
	LEAQ	8(SP), SI
	MOVQ	R14, DX
	MOVQ	$SYS_execve, AX
	SYSCALL
	MOVQ	$·kmod+4(SB), DI
	LEAQ	8(SP), SI
	MOVQ	R14, DX
	MOVQ	$SYS_execve, AX
	SYSCALL
	MOVQ	R13, 8(SP)
	RAISE(RLIMIT_AS, 0)
	RAISE(RLIMIT_DATA, 16)
ready:
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
	MOVQ	$PR_GET_THP_DISABLE, DI
	XORQ	SI, SI
	XORQ	DX, DX
	XORQ	R10, R10
	XORQ	R8, R8
	MOVQ	$SYS_prctl, AX
	SYSCALL
	TESTQ	AX, AX
	JNE	kept		// it is so already, or cannot be
	MOVQ	$PR_SET_THP_DISABLE, DI
	MOVQ	$1, SI
	MOVQ	$SYS_prctl, AX
	SYSCALL
	TESTQ	AX, AX
	JNE	kept
	MOVB	$1, ·small(SB)
kept:
	JMP	·spare(SB)

#define PRLIMIT(which, set, get) \
	XORQ	DI, DI; \
	MOVQ	$which, SI; \
	MOVQ	set, DX; \
	MOVQ	get, R10; \
	MOVQ	$SYS_prlimit64, AX; \
	SYSCALL

TEXT ·spare(SB), NOSPLIT|NOFRAME, $0
	MOVQ	·rate(SB), DI
	MOVQ	$0, (DI)
	MOVQ	·signals(SB), DI
	TESTQ	DI, DI
	JEQ	files
	MOVQ	$·untouched(SB), SI
range:
	MOVBQZX	0(SI), AX
	MOVBQZX	1(SI), CX
	TESTQ	AX, AX
	JEQ	files
signal:
	LEAQ	(AX)(AX*2), R8
	MOVL	$0, (DI)(R8*8)	// of 24 bytes the first four
	INCQ	AX
	CMPQ	AX, CX
	JLE	signal
	ADDQ	$2, SI
	JMP	range
files:
	PRLIMIT(RLIMIT_NOFILE, $0, $safeload∕internal∕entry∕early·files(SB))
	MOVQ	safeload∕internal∕entry∕early·files+0(SB), AX
	CMPQ	AX, $STANDARD
	JLS	few
	MOVQ	safeload∕internal∕entry∕early·files+8(SB), AX
	MOVQ	AX, ·fewer+8(SB)
	MOVQ	$STANDARD, ·fewer+0(SB)
	PRLIMIT(RLIMIT_NOFILE, $·fewer(SB), $0)
	JMP	·opened(SB)
few:
	MOVQ	$0, safeload∕internal∕entry∕early·files+0(SB)
	JMP	·opened(SB)
