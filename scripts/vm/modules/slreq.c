// SPDX-License-Identifier: GPL-2.0
/*
 * A module whose init requests other modules, in every way that modules in the kernel do it.
 * The rig makes copies of it under other names (slreq_XX), so that one source gives chains and rings.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/kmod.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "slreq-need.h"

static char *req = "";
module_param(req, charp, 0444);
MODULE_PARM_DESC(req, "names to request during init, separated by commas; ':' instead of ',' too");

static char *via = "self";
module_param(via, charp, 0444);
MODULE_PARM_DESC(via, "who requests: self (the loading task), kthread (init waits for it), work (init flushes it)");

static unsigned int crowd;
module_param(crowd, uint, 0444);
MODULE_PARM_DESC(crowd, "with via=kthread: so many kernel threads create one each at once, and the last one's requests");

static unsigned int delay_ms;
module_param(delay_ms, uint, 0444);
MODULE_PARM_DESC(delay_ms, "sleep before the requests");

static unsigned int hold_ms;
module_param(hold_ms, uint, 0444);
MODULE_PARM_DESC(hold_ms, "sleep after the requests");

static unsigned int still_ms;
module_param(still_ms, uint, 0444);
MODULE_PARM_DESC(still_ms, "before the requests, wait so long for what never comes: from outside it looks like a wait with no end");

static int fail;
module_param(fail, int, 0444);
MODULE_PARM_DESC(fail, "errno with which init fails after all that");

static bool oops;
module_param(oops, bool, 0444);
MODULE_PARM_DESC(oops, "init ends in BUG() after all that: its thread dies, and the module stays coming");

static char *need = "";
module_param(need, charp, 0444);
MODULE_PARM_DESC(need, "what of slhub's init takes, or flushes, after all that: see slreq-need.h");

/* request_module()'s results: how many came back, and the last one that was not 0. */
static int done;
module_param(done, int, 0444);
static int ret;
module_param(ret, int, 0444);

static void request_all(void)
{
	char *names = kstrdup(req, GFP_KERNEL), *rest = names, *one;

	if (!names)
		return;
	while ((one = strsep(&rest, ",:")) != NULL) {
		int r;

		if (!*one)
			continue;
		r = request_module("%s", one);
		pr_info("request %s returned %d\n", one, r);
		if (r)
			ret = r;
		done++;
	}
	kfree(names);
}

static int request_thread(void *completion)
{
	request_all();
	kthread_complete_and_exit(completion, 0);
	return 0;
}

static atomic_t left, missing;
static DECLARE_COMPLETION(gate);

static int nothing(void *unused)
{
	return 0;
}

static int crowd_thread(void *finished)
{
	bool last;

	/* All of them ask kthreadd before it comes to answer the first, and long after the init fell asleep. */
	sched_set_fifo(current);
	if (atomic_dec_and_test(&missing)) {
		msleep(100);
		complete_all(&gate);
	} else {
		wait_for_completion(&gate);
	}
	last = atomic_dec_and_test(&left);
	kthread_run(last ? request_thread : nothing, finished, "%s", KBUILD_MODNAME);
	return 0;
}

static int gather(struct completion *finished)
{
	unsigned int i;

	atomic_set(&left, crowd);
	atomic_set(&missing, crowd);
	for (i = 0; i < crowd; i++)
		if (IS_ERR(kthread_run(crowd_thread, finished, "%s/%u", KBUILD_MODNAME, i)))
			return -ENOMEM;
	return 0;
}

static void request_work(struct work_struct *unused)
{
	request_all();
}

static int __init slreq_init(void)
{
	pr_info("init: req=%s via=%s\n", req, via);
	if (delay_ms)
		msleep(delay_ms);
	if (still_ms) {
		DECLARE_COMPLETION_ONSTACK(never);

		wait_for_completion_timeout(&never, msecs_to_jiffies(still_ms));
	}

	if (!strcmp(via, "kthread")) {
		DECLARE_COMPLETION_ONSTACK(finished);
		int r = crowd ? gather(&finished) :
			PTR_ERR_OR_ZERO(kthread_run(request_thread, &finished, "%s", KBUILD_MODNAME));

		if (r)
			return r;
		wait_for_completion(&finished);
	} else if (!strcmp(via, "work")) {
		struct work_struct work;

		INIT_WORK_ONSTACK(&work, request_work);
		queue_work(system_unbound_wq, &work);
		flush_work(&work);
		destroy_work_on_stack(&work);
	} else {
		request_all();
	}

	if (*need) {
		int r = slreq_need(need);

		if (r)
			return r;
	}
	if (hold_ms)
		msleep(hold_ms);
	if (oops)
		BUG();
	pr_info("init: done, returns %d\n", -fail);
	return -fail;
}

static void __exit slreq_exit(void)
{
}

module_init(slreq_init);
module_exit(slreq_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("safeload test: requests modules during init");
