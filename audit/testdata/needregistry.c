// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Registers, which takes a mutex that only the registry knows. */
#include "fixture.h"
INFO("alias=fix-need-registry")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=waithub")
extern int hub_register(int kind);
volatile int state;
int init_module(void)
{
	state += hub_register(2);
	return state;
}
