// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Takes a semaphore, to share it. */
#include "fixture.h"
INFO("alias=fix-need-writes")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=waithub")
extern struct rw_semaphore hub_writes;
volatile int state;
int init_module(void)
{
	down_read(&hub_writes);
	state++;
	up_read(&hub_writes);
	return state;
}
