// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Asks for what waithub asks for, and holds nothing of what that needs: none of it waits. */
#include "fixture.h"
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=waithub")
extern struct mutex hub_lock;
extern struct rw_semaphore hub_reads, hub_writes;
extern void *hub_queue, *own_queue;
static struct mutex another;
volatile int good_state;

static noinline int ask(const char *what) { return __request_module(1, "fix-need-%s", what) + good_state; }
/* The lock is released by then, or not yet acquired. */
int good_before(void)
{
	int r;
	mutex_lock(&hub_lock);
	good_state++;
	mutex_unlock(&hub_lock);
	r = ask("lock");
	mutex_lock(&hub_lock);
	good_state++;
	mutex_unlock(&hub_lock);
	return r + 1;
}
/* On one of the ways. */
int good_ways(int n)
{
	if (n > 3) {
		mutex_lock(&hub_lock);
		good_state++;
		mutex_unlock(&hub_lock);
	}
	return ask("lock") + 1;
}
/* It is another one. */
int good_another(void)
{
	int r;
	mutex_lock(&another);
	r = ask("lock") + ask("reads") + ask("rtnl") + ask("registry");
	mutex_unlock(&another);
	return r + 1;
}
/* Who asks releases what its caller holds, as nft_request_module did. */
static noinline int released(void)
{
	int r;
	mutex_unlock(&hub_lock);
	r = ask("lock");
	mutex_lock(&hub_lock);
	return r + 1;
}
int good_released(void)
{
	int r;
	mutex_lock(&hub_lock);
	r = released();
	mutex_unlock(&hub_lock);
	return r + 1;
}
int good_rtnl(void)
{
	int r;
	rtnl_lock();
	rtnl_unlock();
	r = ask("rtnl");
	rtnl_lock();
	rtnl_unlock();
	return r + 1;
}
/* One who releases by another. */
static noinline void leave(struct mutex *lock) { good_state++; mutex_unlock(lock); good_state++; }
static noinline void leave_hub(void) { good_state++; leave(&hub_lock); good_state++; }
int good_left(void)
{
	int r;
	mutex_lock(&hub_lock);
	good_state++;
	leave_hub();
	r = ask("lock");
	return r + 1;
}
/* Downgraded: who reads gets in. */
int good_downgraded(void)
{
	int r;
	down_write(&hub_reads);
	downgrade_write(&hub_reads);
	r = ask("reads");
	up_read(&hub_reads);
	return r + 1;
}
/* A notifier that is part of more: the rest the kernel does not call under rtnl. */
static int notified(void *nb, unsigned long event, void *device) { return good_state++; }
static int elsewhere(void) { return ask("rtnl") + 1; }
static struct { struct notifier_block nb; int (*other)(void); } several = { { notified }, elsewhere };
/* Nobody waits for the load. */
int good_nowait(void)
{
	mutex_lock(&hub_lock);
	good_state += __request_module(0, "fix-need-lock");
	mutex_unlock(&hub_lock);
	return good_state;
}
/* Another one in its place: the load takes hub_lock alone. */
int good_other_lock(void)
{
	int r;
	down_write(&hub_writes);
	r = ask("lock");
	up_write(&hub_writes);
	return r + 1;
}
/* A queue that nobody flushes. */
static void work(struct work_struct *w) { good_state += ask("flush"); }
static struct work_struct item = { .func = work };
int good_queue(void) { return queue_work_on(0, own_queue, &item); }
/* The async function asks for nothing. */
static void async(void *data, unsigned long cookie) { good_state++; }
int good_async(void) { return (int)async_schedule_node(async, 0, -1) + ask("nothing"); }
int init_module(void) { return register_netdevice_notifier(&several.nb); }
