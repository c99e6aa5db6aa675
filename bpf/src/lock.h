/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A load waits for a lock whose holder is in a request: it cannot give the lock
 * back before the helper of that request has ended.
 *
 * The tracepoints (5.19) run for every lock of the system that somebody has to
 * wait for, so what comes first is whether anything is being loaded, and whether
 * it is by this task. Sleeping locks alone are looked at: those that spin have
 * another flag besides, as has a mutex while its holder runs. What holds a lock
 * of PREEMPT_RT is not read.
 */
#ifndef SAFELOAD_LOCK_H
#define SAFELOAD_LOCK_H

#include "load.h"

/* The lowest bits of an owner are flags (MUTEX_FLAGS, RWSEM_OWNER_FLAGS_MASK). */
#define OWNER_FLAGS 7ull
#define RWSEM_READER_OWNED 1

/* How a task waits for a lock that one task holds, as the flags of the tracepoint
 * say; and that task. 0 where there is no such one: of the readers of a
 * rw_semaphore it has the last alone, who may have left. */
INLINE u32 lock_held(u32 flags, u64 lock, u64 *owner)
{
	u64 word;

	if (flags == lock_mutex) {
		/* struct mutex begins with its owner */
		*owner = word_at(lock) & ~OWNER_FLAGS;
		return WAIT_MUTEX;
	}
	if (flags != lock_read && flags != lock_write)
		return 0;
	/* struct rw_semaphore: count, owner */
	word = word_at(lock + WORD);
	if (word & RWSEM_READER_OWNED)
		return 0;
	*owner = word & ~OWNER_FLAGS;
	return flags == lock_read ? WAIT_READ : WAIT_WRITE;
}

SEC("tracepoint/lock/contention_begin")
int lock_wait(void *ctx)
{
	struct flags *f = flag();
	if (!f || !f->active)
		return 0;
	struct load *l = load_of(tid_now());
	if (!l)
		return 0;
	u64 owner = 0, holder = 0;
	u64 lock = word_at((u64)ctx + off_lock_addr);
	u32 how = lock_held(field(ctx, off_lock_flags), lock, &owner);
	if (!how || !owner)
		return 0;
	u64 *id = map_lookup(&askers, &owner);
	if (id) {
		holder = *id;
		if (!map_lookup(&requests, &holder))
			holder = 0; /* that one is over */
	}
	/* It was woken, and sleeps again: that was told. */
	if (l->lock == lock && l->holder == holder)
		return 0;
	l->lock = lock;
	l->holder = holder;
	l->lock_how = how;
	u64 above = l->ctx;
	/* Who holds it may wait for who is in a request, or come to: user space looks,
	 * if anybody waits for this load. */
	if (!holder && (!above || !map_lookup(&requests, &above)))
		return 0;
	load_tell(l);
	struct event *e = event_new(EV_LOCK, l->id, holder);
	if (!e)
		return 0;
	e->ctx = above;
	e->how = how;
	probe_read_kernel(e->name, sizeof(e->name), l->name);
	event_send(e);
	return 0;
}

/* With the lock or, if a signal ended the wait, without it. */
SEC("tracepoint/lock/contention_end")
int lock_over(void *ctx)
{
	struct flags *f = flag();
	if (!f || !f->active)
		return 0;
	struct load *l = load_of(tid_now());
	if (!l || !l->lock || l->lock != word_at((u64)ctx + off_got_addr))
		return 0;
	l->lock = 0;
	l->holder = 0;
	return 0;
}

#endif
