// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Requests its own alias two calls away from init, through a format. */
#include "fixture.h"
INFO("alias=fix-self")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
volatile int state;
static noinline int ask(const char *what)
{
	state++;
	return __request_module(1, "fix-%s", what) + state;
}
static noinline int middle(void) { return ask("self") + 1; }
int init_module(void) { return middle() + ask("nothing"); }
