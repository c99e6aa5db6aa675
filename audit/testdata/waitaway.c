// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Asks for others, who hold what they hold. */
#include "fixture.h"
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
volatile int away_state;
int away_ask(unsigned char kind, const char *name)
{
	away_state++;
	if (kind == 7)
		return __request_module(1, "fix-need-%s", name) + away_state;
	return away_state;
}
EXPORT(away_ask)
int init_module(void) { return away_state; }
