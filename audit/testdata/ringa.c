// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "fixture.h"
INFO("alias=fix-ring-a")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=ringlib")
extern int ringlib_get(int kind, const char *name);
int init_module(void) { return ringlib_get(3, "ring-b") + 1; }
