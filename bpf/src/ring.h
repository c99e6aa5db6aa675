/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The newest of what has ended, until reboot, for whoever asks later.
 *
 * Anybody can have the kernel ask for what does not exist, or cannot be loaded, as
 * often as he likes. What comes to nothing in this way is in a part of its own, so
 * that it takes no place of what was loaded.
 *
 * Programs cannot count together (atomics fail in 6.1's JIT for ARM), but a queue
 * can: it has the number of each entry that nobody is writing, so whoever takes
 * one has a number and an entry that are his alone. Each part has more entries
 * than there are CPUs, and a CPU runs one such program at a time.
 */
#ifndef SAFELOAD_RING_H
#define SAFELOAD_RING_H

#include "state.h"

MAP(ring, MAP_ARRAY, u32, struct entry, RING_LOADS + RING_NOTHINGS);

/* Filled by user space, with 0 and up, before anything is attached. One that is
 * empty records nothing. */
struct {
	__uint(type, MAP_QUEUE);
	__uint(max_entries, RING_LOADS);
	__type(value, u32);
} turns SEC(".maps");
struct {
	__uint(type, MAP_QUEUE);
	__uint(max_entries, RING_NOTHINGS);
	__type(value, u32);
} turns_apart SEC(".maps");

/* An entry under construction. */
struct place {
	struct entry *e;
	u32 number, slot;
};

/* Readers take an entry twice, with a pause between: its seq need only be the
 * first and the last that is written to it in this program's order. */
#define COMPILER_BARRIER() __asm__ volatile("" ::: "memory")

INLINE int entry_new(int apart, struct place *p)
{
	u32 n = 0;

	if (apart ? map_pop(&turns_apart, &n) : map_pop(&turns, &n))
		return 0;
	p->number = n;
	p->slot = apart ? RING_LOADS + (n & (RING_NOTHINGS - 1)) : n & (RING_LOADS - 1);
	p->e = map_lookup(&ring, &p->slot);
	if (!p->e)
		return 0;
	p->e->seq = 0;
	COMPILER_BARRIER();
	__builtin_memset((u8 *)p->e + sizeof(u32), 0, sizeof(*p->e) - sizeof(u32));
	p->e->flags = apart ? ENTRY_APART : 0;
	p->e->ended = ktime_get_boot_ns();
	return 1;
}

INLINE void entry_done(int apart, struct place *p)
{
	u32 next = p->number + (apart ? RING_NOTHINGS : RING_LOADS);

	COMPILER_BARRIER();
	p->e->seq = p->number + 1;
	if (apart)
		map_push(&turns_apart, &next, BPF_ANY);
	else
		map_push(&turns, &next, BPF_ANY);
}

INLINE void entry_request(struct entry *e, struct request *r)
{
	e->for_load = r->load;
	e->asker_cgroup = r->cgroup;
	e->asker_tid = r->tid;
	e->asker_tgid = r->tgid;
	e->asker_uid = r->uid;
	e->hop = r->hop;
	e->helper = r->child;
	probe_read_kernel(e->asker_comm, sizeof(e->asker_comm), r->comm);
	probe_read_kernel(e->asked, sizeof(e->asked), r->name);
}

#define EPERM 1

INLINE void ring_load(u32 tid, u64 ctx, struct load *l, s32 ret)
{
	struct place p = {};
	struct request *r = map_lookup(&requests, &ctx);
	/* Any user can call finit_module, to be refused; or have a module asked for
	 * whose init always fails. */
	int apart = ret && (ctx || (ret == -EPERM && !(l->flags & LOAD_INIT)));

	if (!entry_new(apart, &p))
		return;
	struct entry *e = p.e;
	e->load = l->id;
	e->ctx = ctx;
	e->began = l->began;
	e->cgroup = l->cgroup;
	e->tid = l->tid;
	e->tgid = l->tgid;
	e->uid = l->uid;
	e->ret = ret;
	e->flags |= ENTRY_TOLD;
	if (tid == tid_now()) /* else it is gone */
		get_current_comm(e->comm, sizeof(e->comm));
	probe_read_kernel(e->name, sizeof(e->name), l->name);
	if (r)
		entry_request(e, r);
	entry_done(apart, &p);
}

/* A request that no load has come of; or whose requester does not wait for what
 * comes. Its result comes later, if it comes. */
INLINE void ring_request(u64 id, struct request *r)
{
	struct place p = {};
	u32 tid = r->tid;

	if (!entry_new(1, &p))
		return;
	p.e->ctx = id;
	p.e->began = r->began;
	entry_request(p.e, r);
	entry_done(1, &p);
	struct call *c = map_lookup(&calls, &tid);
	if (c && c->id == id) {
		c->slot = p.slot;
		c->number = p.number + 1;
	}
}

/* What the requester is told. */
INLINE void ring_result(struct call *c, s32 ret)
{
	u32 slot = c->slot;
	struct entry *e = map_lookup(&ring, &slot);

	if (!c->number || !e || e->seq != c->number)
		return;
	e->ret = ret;
	COMPILER_BARRIER();
	e->flags |= ENTRY_TOLD;
}

#endif
