// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Depends on ringlib and is what its other branch asks for: no init takes that one. */
#include "fixture.h"
INFO("alias=fix-never")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=ringlib")
extern int ringlib_get(int kind, const char *name);
int init_module(void) { return ringlib_get(2, "never") + 1; }
