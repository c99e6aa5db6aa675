// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Takes a semaphore alone. */
#include "fixture.h"
INFO("alias=fix-need-reads")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=waithub")
extern struct rw_semaphore hub_reads;
volatile int state;
int init_module(void)
{
	down_write(&hub_reads);
	state++;
	up_write(&hub_reads);
	return state;
}
