// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Requests itself, but not from init. */
#include "fixture.h"
INFO("alias=fix-outside")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
volatile int outside_state;
int outside_open(void) { return __request_module(1, "fix-outside") + 1; }
EXPORT(outside_open)
int init_module(void) { return outside_state; }
