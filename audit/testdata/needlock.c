// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Takes the mutex of another module. */
#include "fixture.h"
INFO("alias=fix-need-lock")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=waithub")
extern struct mutex hub_lock;
volatile int state;
int init_module(void)
{
	mutex_lock(&hub_lock);
	state++;
	mutex_unlock(&hub_lock);
	return state;
}
