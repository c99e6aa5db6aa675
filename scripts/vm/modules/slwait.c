// SPDX-License-Identifier: GPL-2.0
/*
 * A module whose thread calls wait_for_completion_interruptible many times on a completion that is done, and says
 * what one call took: the price of a probe there is what this takes more.
 */
#include <linux/completion.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>

static unsigned int n = 1;
module_param(n, uint, 0444);
MODULE_PARM_DESC(n, "how many calls");

static unsigned int ns_each;
module_param(ns_each, uint, 0444);
MODULE_PARM_DESC(ns_each, "nanoseconds a call, set by init");

static int waits(void *over)
{
	DECLARE_COMPLETION_ONSTACK(done);
	unsigned int i;
	u64 t0 = ktime_get_ns();

	for (i = 0; i < n; i++) {
		complete(&done);
		if (wait_for_completion_interruptible(&done))
			break;
	}
	ns_each = div_u64(ktime_get_ns() - t0, n ? n : 1);
	kthread_complete_and_exit(over, 0);
	return 0;
}

/* In a thread: a task that has nothing to do with loading pays the price. */
static int __init slwait_init(void)
{
	DECLARE_COMPLETION_ONSTACK(over);
	struct task_struct *t = kthread_run(waits, &over, "slwait");

	if (IS_ERR(t))
		return PTR_ERR(t);
	wait_for_completion(&over);
	return 0;
}

static void __exit slwait_exit(void)
{
}

module_init(slwait_init);
module_exit(slwait_exit);
MODULE_DESCRIPTION("safeload test module: many waits for a completion");
MODULE_LICENSE("GPL");
