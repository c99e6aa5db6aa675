// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Exports what requests: by kind, so that only the caller's number says what. */
#include "fixture.h"
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
volatile int ringlib_state;
static noinline int get(unsigned char kind, const char *name)
{
	ringlib_state++;
	if (kind == 3)
		return __request_module(1, "fix-%s", name) + 1;
	if (kind == 9)
		return __request_module(1, "fix-never") + 2;
	return ringlib_state;
}
int ringlib_get(int kind, const char *name) { return get(kind, name) + ringlib_state; }
EXPORT(ringlib_get)
int init_module(void) { return ringlib_state; }
