// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Flushes the queue of another module. */
#include "fixture.h"
INFO("alias=fix-need-flush")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=waithub")
extern void *hub_queue;
volatile int state;
int init_module(void)
{
	flush_workqueue(hub_queue);
	return state;
}
