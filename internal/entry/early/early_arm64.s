// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Not NOSPLIT: the check at its begin is what it is for.
TEXT ·deep(SB), 0, $20000-0
	RET

TEXT ·unlimited(SB), NOSPLIT, $0-0
	MOVD	$0, R0
	MOVD	$7, R1	// RLIMIT_NOFILE
	MOVD	$·files(SB), R2
	MOVD	$0, R3
	MOVD	$261, R8	// prlimit64
	SVC
	RET
