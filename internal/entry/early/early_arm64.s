// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Not NOSPLIT: the check at its begin is what it is for.
TEXT ·deep(SB), 0, $20000-0
	RET
