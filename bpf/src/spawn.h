/* SPDX-License-Identifier: GPL-2.0-only */
/* What an init has others do: kernel threads and work items that act for its load. */
#ifndef SAFELOAD_SPAWN_H
#define SAFELOAD_SPAWN_H

#include "load.h"

/* The load whose init, or whose thread or work item, is running. */
INLINE u64 on_behalf_of(void)
{
	u32 tid = tid_now();
	struct load *l = load_of(tid);
	u64 *id;
	if (l) {
		if (!(l->flags & LOAD_INIT))
			return 0;
		l->flags &= ~LOAD_BLOCKED; /* it runs, whether a return probe saw that or not */
		return l->id;
	}
	struct flags *f = flag();
	if (!f || !f->works)
		return 0;
	id = map_lookup(&working, &tid);
	if (id)
		return *id;
	if (use_current_task) {
		u64 self = this_task();
		id = map_lookup(&kthreads, &self);
		if (id)
			return *id;
	}
	return 0;
}

INLINE void spawned_for(struct flags *f, void *map, u64 key, u64 id)
{
	if (id == UNSURE) {
		f->works = 1;
		map_update(map, &key, &id, BPF_ANY);
		return;
	}
	if (!id || !map_lookup(&loads, &id)) {
		/* The memory may have been a thread or work item of an init's. */
		if (f->works)
			map_delete(map, &key);
		return;
	}
	f->works = 1;
	f->spawns++;
	map_update(map, &key, &id, BPF_ANY);
}

INLINE void spawned(void *map, u64 key)
{
	struct flags *f = flag();
	if (f && f->active)
		spawned_for(f, map, key, on_behalf_of());
}

/* ERR_PTR: the last page of addresses. */
#define IS_ERR_FROM (WORD == 4 ? 0xfffff001ull : 0xfffffffffffff001ull)

SEC("kprobe/__kthread_create_on_node")
int kthread_asked(struct pt_regs *regs)
{
	struct flags *f = flag();
	u32 tid = tid_now();
	if (!f || !f->active)
		return 0;
	/* Whoever this call is for: its return counts down. */
	struct making *m = map_lookup(&creating, &tid);
	if (m && m->rests == f->rests) {
		m->depth++;
		return 0;
	}
	making_over(tid, m);
	struct making first = { .depth = 1, .rests = f->rests, .load = on_behalf_of() };
	if (first.load)
		keep(&creating, &tid, &first);
	return 0;
}

SEC("kretprobe/__kthread_create_on_node")
int kthread_created(struct pt_regs *regs)
{
	u64 task = RET(regs);
	u32 tid = tid_now();
	struct making *m = map_lookup(&creating, &tid);
	if (m && !--m->depth)
		making_over(tid, m);
	if (!task || task >= IS_ERR_FROM)
		return 0;
	u64 *known = map_lookup(&kthreads, &task);
	if (known && *known == on_behalf_of())
		return 0; /* since the thread began, or by the function that this one calls */
	spawned(&kthreads, task);
	return 0;
}

/* A task that has asked for a thread sleeps until that has begun, in a completion
 * on its own stack, of which the new thread is told. So whose a thread is is known
 * without the return, which the kernel may not report. */
INLINE void thread_awaited(u64 completion)
{
	struct flags *f = flag();
	u32 tid = tid_now();
	if (!f || !f->active)
		return;
	struct making *m = map_lookup(&creating, &tid);
	if (!m || m->rests != f->rests || m->until)
		return;
	if (!map_update(&births, &completion, &tid, BPF_ANY))
		m->until = completion;
}

/* Words of struct kthread_create_info, which has seven or eight: one is the address
 * of that completion. */
#define CREATE_WORDS 8

SEC("kprobe/kthread")
int kthread_began(struct pt_regs *regs)
{
	struct flags *f = flag();
	u64 create = ARG1(regs);
	if (!f || !f->active || !use_current_task)
		return 0;
#pragma unroll(1)
	for (int i = 0; i < CREATE_WORDS; i++) {
		u64 completion = word_at(create + i * WORD);
		u32 *asker = map_lookup(&births, &completion);
		if (!asker)
			continue;
		u32 tid = *asker;
		struct making *m = map_lookup(&creating, &tid);
		if (!m || m->rests != f->rests || m->until != completion)
			continue;
		/* Recorded before its asker is said to be in no kthread_create. */
		spawned_for(f, &kthreads, this_task(), m->load);
		making_over(tid, m);
		return 0;
	}
	return 0;
}

SEC("tracepoint/workqueue/workqueue_queue_work")
int work_queued(void *ctx)
{
	struct flags *f = flag();
	if (!f || !f->active)
		return 0;
	u64 work = word_at((u64)ctx + off_queue_work);
	if (!tid_now()) {
		/* An interrupt of an idle CPU: a timer, a device. For whom it does
		 * this is known of the timers of delayed work alone. */
		u64 unsure = UNSURE;
		f->works = 1;
		map_update(&strays, &work, &unsure, BPF_ANY);
		return 0;
	}
	map_delete(&strays, &work);
	spawned(&works, work);
	return 0;
}

SEC("kprobe/queue_delayed_work_on")
int work_delayed(struct pt_regs *regs)
{
	spawned(&delays, ARG3(regs));
	return 0;
}

SEC("tracepoint/workqueue/workqueue_execute_start")
int work_started(void *ctx)
{
	struct flags *f = flag();
	if (!f || !f->works)
		return 0;
	u64 work = word_at((u64)ctx + off_start_work);
	u64 *id = map_lookup(&works, &work);
	u32 tid = tid_now();
	if (!id)
		id = map_lookup(&delays, &work);
	if (!id)
		id = map_lookup(&strays, &work);
	if (!id)
		return 0;
	u64 load = *id;
	map_delete(&works, &work);
	map_delete(&delays, &work);
	map_delete(&strays, &work);
	if (load == UNSURE || map_lookup(&loads, &load))
		map_update(&working, &tid, &load, BPF_ANY);
	return 0;
}

SEC("tracepoint/workqueue/workqueue_execute_end")
int work_ended(void *ctx)
{
	struct flags *f = flag();
	u32 tid = tid_now();
	if (!f || !f->works)
		return 0;
	map_delete(&working, &tid);
	return 0;
}

#endif
