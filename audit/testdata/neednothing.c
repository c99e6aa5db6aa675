// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Needs nothing. Its load ends when all async functions have. */
#include "fixture.h"
INFO("alias=fix-need-nothing")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")

volatile int state;
int init_module(void)
{
	state++;
	return state;
}
