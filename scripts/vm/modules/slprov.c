// SPDX-License-Identifier: GPL-2.0
/* slreq with a symbol that sluse needs: a dependency whose init requests modules. */
#include "slreq.c"

int slprov_answer(void);
int slprov_answer(void)
{
	return 42;
}
EXPORT_SYMBOL_GPL(slprov_answer);
