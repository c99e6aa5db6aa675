// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Holds what the inits of those need that it requests: exported locks, one of its own, a queue; and asks in an async function. */
#include "fixture.h"
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
struct mutex hub_lock;
EXPORT_DATA(hub_lock)
struct rw_semaphore hub_reads;
EXPORT_DATA(hub_reads)
struct rw_semaphore hub_writes;
EXPORT_DATA(hub_writes)
void *hub_queue;
EXPORT_DATA(hub_queue)
static struct mutex registry;
volatile int hub_state;

int hub_register(int kind)
{
	mutex_lock(&registry);
	hub_state += kind;
	mutex_unlock(&registry);
	return hub_state;
}
EXPORT(hub_register)

static noinline int ask(const char *what) { return __request_module(1, "fix-need-%s", what) + hub_state; }

int hub_under_lock(int n)
{
	mutex_lock(&hub_lock);
	if (n > 3)
		hub_state += ask("lock");
	mutex_unlock(&hub_lock);
	return hub_state;
}
int hub_shared(void)
{
	int r;
	down_read(&hub_reads);
	r = ask("reads");
	up_read(&hub_reads);
	return r + 1;
}
int hub_alone(void)
{
	int r;
	down_write(&hub_writes);
	r = ask("writes");
	up_write(&hub_writes);
	return r + 1;
}
static noinline void enter(struct mutex *lock) { mutex_lock(lock); hub_state++; }
static noinline void leave(struct mutex *lock) { hub_state++; mutex_unlock(lock); }
int hub_find(void)
{
	int r;
	enter(&registry);
	r = ask("registry");
	leave(&registry);
	return r + 1;
}
int hub_link(void)
{
	int r;
	rtnl_lock();
	r = ask("rtnl");
	rtnl_unlock();
	return r + 1;
}
int hub_by_name(const char *name)
{
	int r;
	mutex_lock(&hub_lock);
	r = __request_module(1, "%s", name);
	mutex_unlock(&hub_lock);
	return r + 1;
}
static void work(struct work_struct *w) { hub_state += ask("flush"); }
static struct work_struct item = { .func = work };
int hub_later(void) { return queue_work_on(0, hub_queue, &item); }
static void async(void *data, unsigned long cookie) { hub_state += ask("nothing"); }
int hub_async(void) { return (int)async_schedule_node(async, 0, -1); }
int init_module(void) { return hub_state; }
