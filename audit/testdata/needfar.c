// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Takes locks of another module, which it finds by name. */
#include "fixture.h"
INFO("alias=fix-need-far")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
static noinline int take(struct mutex *lock)
{
	if (!lock)
		return -1;
	mutex_lock(lock);
	mutex_unlock(lock);
	return 0;
}
int init_module(void) { return take(__symbol_get("far_lock")) + take(__symbol_get("far_other")); }
