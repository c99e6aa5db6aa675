// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Registers a kind of link, for which the kernel takes rtnl. */
#include "fixture.h"
INFO("alias=fix-need-rtnl")
INFO("alias=fix-need-rtnl2")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
extern int rtnl_link_register(void *ops);
static int ops[8];
volatile int state;
int init_module(void)
{
	state += rtnl_link_register(ops);
	return state;
}
