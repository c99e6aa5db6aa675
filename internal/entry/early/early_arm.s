// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Not NOSPLIT: the check at its begin is what it is for.
TEXT ·deep(SB), 0, $20000-0
	RET

TEXT ·unlimited(SB), NOSPLIT, $0-0
	MOVW	$0, R0
	MOVW	$7, R1	// RLIMIT_NOFILE
	MOVW	$·files(SB), R2
	MOVW	$0, R3
	MOVW	$369, R7	// prlimit64
	SWI	$0
	RET
