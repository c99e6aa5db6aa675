/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does a load that is about to be waited for wait, in the end, for the one who
 * is about to wait? Two walks, both bounded by the kernel's own limit of 50
 * requests in flight (kmod_concurrent_max) with room for nesting by hand:
 *
 * up: the requests that the waiter descends from. One that was made for the
 *     target closes the cycle, whatever else runs beside us.
 * down: from the target along "is in a request" and "a task below that request
 *     is in, or waits for, this load". It sees cycles over several tasks. Where
 *     a request has several tasks below it, it follows the latest one only;
 *     user space, which has all the events, sees the rest.
 */
#ifndef SAFELOAD_CHAIN_H
#define SAFELOAD_CHAIN_H

#include "state.h"

#define MAX_HOPS 64

struct cycle {
	u32 cert, pad;
	u64 newest; /* newest request in it: names this cycle and no other */
};

/* Kept in a map, whose contents the verifier does not follow: on the stack each
 * value would double the states of each turn of the loops. */
MAP(walks, MAP_PERCPU_ARRAY, u32, struct cycle, 1);

/* A hop over a thread or work item proves nothing by itself: the init may run
 * on, and a moment in a completion (kthread_create has one) is no standstill.
 * User space, which can watch for a while, decides over these. */
INLINE u32 hop_cert(u32 hop)
{
	return hop == HOP_TASK ? CERT_PROVEN : CERT_LIKELY;
}

/* The load that a waiting one waits for. Its owner may have come to own the
 * file, or to have the name, only after the wait began. */
INLINE u64 waits_on(struct load *l)
{
	u64 *owner, want = l->want;

	if (l->wait || !(l->flags & LOAD_WAITS))
		return l->wait;
	owner = want ? map_lookup(&inodes, &want) : map_lookup(&names, l->name);
	return owner ? *owner : 0;
}

INLINE int walk_up(u64 target, u64 ctx, struct cycle *c)
{
	c->cert = CERT_PROVEN;
	c->newest = 0;
#pragma unroll(1)
	for (int i = 0; i < MAX_HOPS; i++) {
		struct request *r = map_lookup(&requests, &ctx);
		if (!r)
			return 0;
		if (r->id > c->newest)
			c->newest = r->id;
		if (r->load) {
			u64 id = r->load;
			struct load *l = map_lookup(&loads, &id);
			if (!l)
				return 0;
			if (hop_cert(r->hop) == CERT_LIKELY)
				c->cert = CERT_LIKELY;
			if (id == target)
				return 1;
		}
		ctx = r->parent;
	}
	return 0;
}

INLINE int walk_down(u64 target, u64 ctx, struct cycle *c)
{
	c->cert = CERT_PROVEN;
	c->newest = 0;
#pragma unroll(1)
	for (int i = 0; i < MAX_HOPS; i++) {
		struct load *l = map_lookup(&loads, &target);
		if (!l)
			return 0;
		u64 req = l->req;
		if (!req) {
			u64 next = waits_on(l);
			if (next) {
				target = next;
				continue;
			}
			req = l->kreq;
			c->cert = CERT_LIKELY;
		}
		struct request *r = map_lookup(&requests, &req);
		if (!r)
			return 0;
		if (r->id > c->newest)
			c->newest = r->id;
		if (req == ctx)
			return 1;
		target = r->next;
	}
	return 0;
}

/* What became of the signal, where none was sent. */
#define SENT_NONE (-1)
#define SENT_CLAIMED (-2) /* another of the same cycle got it; user space looks whether that was enough */

/* A verdict in one word: the certainty below (0: no cycle was seen), above it the signal that was sent. */
#define VERDICT(cert, sig) ((u64)(cert) | (u64)(u32)(sig) << 32)
#define VERDICT_CERT(v) ((u32)(v))
#define VERDICT_SENT(v) ((s32)((v) >> 32))

/* The current task, descending from ctx, is about to wait for target. Ends the
 * wait if told to, and only if it is proven to be for itself.
 */
INLINE u64 close_cycle(u64 target, u64 ctx, u32 how)
{
	u64 one = 1;
	s32 sent = SENT_NONE;
	struct cycle *c = map_lookup(&walks, &only);

	if (!ctx || !target || !c)
		return VERDICT(0, SENT_NONE);
	if (!walk_up(target, ctx, c) && !walk_down(target, ctx, c))
		return VERDICT(0, SENT_NONE);
	u64 newest = c->newest;
	struct config *k = cfg();
	if (k && k->signal && c->cert == CERT_PROVEN && how != WAIT_FILE_HARD &&
	    ktime_get_boot_ns() <= k->breaks_until) {
		/* Each one who opens must be stopped: after it is too late. */
		if (map_update(&claims, &newest, &one, BPF_NOEXIST) && how != WAIT_OPEN)
			sent = SENT_CLAIMED;
		else if (!send_signal(k->signal))
			sent = (s32)k->signal;
	}
	return VERDICT(c->cert, sent);
}

#endif
