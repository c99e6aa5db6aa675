// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Has another module ask, while it holds a lock; and on another way, where that does not ask. */
#include "fixture.h"
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=waitaway")
extern int away_ask(unsigned char kind, const char *name);
struct mutex far_lock;
EXPORT_DATA(far_lock)
struct mutex far_other;
EXPORT_DATA(far_other)
int far_ask(void)
{
	int r;
	mutex_lock(&far_lock);
	r = away_ask(7, "far");
	mutex_unlock(&far_lock);
	return r + 1;
}
int far_kind(void)
{
	int r;
	mutex_lock(&far_other);
	r = away_ask(3, "far");
	mutex_unlock(&far_other);
	return r + 1;
}
int init_module(void) { return 0; }
