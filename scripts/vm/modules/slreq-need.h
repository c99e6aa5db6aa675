/* SPDX-License-Identifier: GPL-2.0 */
/* What an init may need that its asker holds. Found by name, so that the modules that need nothing have no dependency. */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/string.h>
#include <linux/workqueue.h>

extern struct mutex slhub_lock, slhub_second;
extern struct rw_semaphore slhub_reads, slhub_writes;
extern struct workqueue_struct *slhub_wq;

/* Until somebody has it, and has gone on to the next. */
static void wait_until_taken(struct mutex *m)
{
	int i;

	for (i = 0; i < 600 && !mutex_is_locked(m); i++)
		msleep(100);
	msleep(300);
}

static int take_mutex(struct mutex *m, bool second)
{
	if (!m)
		return -ENOENT;
	if (second)
		wait_until_taken(m);
	mutex_lock(m);
	mutex_unlock(m);
	return 0;
}

static int slreq_need(const char *need)
{
	int r = -EINVAL;

	if (!strcmp(need, "lock")) {
		r = take_mutex(symbol_get(slhub_lock), false);
		if (!r)
			symbol_put(slhub_lock);
	} else if (!strcmp(need, "second")) {
		r = take_mutex(symbol_get(slhub_second), true);
		if (!r)
			symbol_put(slhub_second);
	} else if (!strcmp(need, "read")) {
		struct rw_semaphore *s = symbol_get(slhub_writes);

		if (!s)
			return -ENOENT;
		down_read(s);
		up_read(s);
		symbol_put(slhub_writes);
		r = 0;
	} else if (!strcmp(need, "write")) {
		struct rw_semaphore *s = symbol_get(slhub_reads);

		if (!s)
			return -ENOENT;
		down_write(s);
		up_write(s);
		symbol_put(slhub_reads);
		r = 0;
	} else if (!strcmp(need, "flush")) {
		struct workqueue_struct **q = symbol_get(slhub_wq);

		if (!q)
			return -ENOENT;
		flush_workqueue(*q);
		symbol_put(slhub_wq);
		r = 0;
	}
	return r;
}
