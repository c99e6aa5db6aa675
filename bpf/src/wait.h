/* SPDX-License-Identifier: GPL-2.0-only */
/* The waits: by inode, by name, of an init for what it started; and the open before one that cannot be left. */
#ifndef SAFELOAD_WAIT_H
#define SAFELOAD_WAIT_H

#include "spawn.h"

/* Where the wait cannot be left (6.5 to 6.10) the last moment is the open of
 * the file before it. security_file_open runs with f_inode set. */
SEC("kprobe/security_file_open")
int open_file(struct pt_regs *regs)
{
	u32 tid = tid_now();
	struct config *k = cfg();
	struct task *t;

	if (!k)
		return 0;
	if (k->self_tgid == tgid_now())
		learn_file(ARG1(regs));
	if (!k->open_breaks || !k->inode_off)
		return 0;
	t = map_lookup(&tasks, &tid);
	if (!t || !t->ctx || t->load)
		return 0;
	u64 inode = word_at(ARG1(regs) + k->inode_off);
	u64 *owner = map_lookup(&inodes, &inode);
	if (!owner)
		return 0;
	u64 target = *owner, ctx = t->ctx;
	u64 v = close_cycle(target, ctx, WAIT_OPEN), one = 1;
	if (!VERDICT_CERT(v))
		return 0;
	if (VERDICT_SENT(v) > 0)
		map_update(&doomed, &tid, &one, BPF_ANY);
	struct event *e = event_new(EV_OPEN, 0, target);
	if (!e)
		return 0;
	e->ctx = ctx;
	e->how = WAIT_OPEN;
	e->cert = VERDICT_CERT(v);
	e->ret = VERDICT_SENT(v);
	event_send(e);
	return 0;
}

/* A kprobe has interrupts disabled, and then the kernel hands a signal to an
 * irq_work, which on one CPU may wait for the next tick
 * (bpf_send_signal_common, arch_irq_work_raise): by then the task is in the
 * wait. Here it is sent at once, and taken before user space runs. */
SEC("tracepoint/syscalls/sys_exit_openat")
int open_over(void *ctx)
{
	u32 tid = tid_now();
	struct config *k = cfg();

	if (!k || !map_lookup(&doomed, &tid))
		return 0;
	map_delete(&doomed, &tid);
	if (k->signal)
		send_signal(k->signal);
	return 0;
}

INLINE void waits_for(struct load *l, u64 target, u32 how, char *name)
{
	u64 ctx = l->ctx, id = l->id;

	load_tell(l);
	l->wait = target;
	l->flags |= LOAD_WAITS;
	if (target)
		request_next(ctx, id, target);
	/* Published above, looked at here: of two that close a cycle at the same
	 * time at least one sees it. */
	u64 v = close_cycle(target, ctx, how);
	struct event *e = event_new(EV_WAIT, id, target);
	if (!e)
		return;
	e->ctx = ctx;
	e->how = how;
	e->cert = VERDICT_CERT(v);
	e->ret = VERDICT_SENT(v);
	probe_read_kernel(e->name, sizeof(e->name), name);
	event_send(e);
}

/* Only a wait that really starts evaluates this, once more at each wake-up. */
SEC("kprobe/finished_loading")
int wait_name(struct pt_regs *regs)
{
	struct load *l = load_of(tid_now());
	struct name_key n = {};
	u64 target = 0;

	if (!l || l->wait || (l->flags & LOAD_INIT))
		return 0;
	probe_read_kernel_str(n.s, sizeof(n.s), (void *)ARG1(regs));
	u64 *owner = map_lookup(&names, &n);
	if (owner)
		target = *owner;
	probe_read_kernel(l->name, sizeof(l->name), n.s);
	waits_for(l, target, WAIT_NAME, n.s);
	return 0;
}

INLINE void learn_wait(u64 completion, int hard)
{
	u32 tid = tid_now();
	struct selfcheck *s = map_lookup(&selfcheck, &only);
	/* Other waits of the process, as those of detaching a probe, tell nothing. */
	if (!s || !s->seen || !map_lookup(&calls, &tid))
		return;
#pragma unroll(1)
	for (int i = 0; i < SELF_BACK; i++)
		s->back[i] = word_at(completion - (i + 1) * WORD);
	if (hard)
		s->hard++;
	else
		s->soft++;
}

/* idempotent_wait_for_completion by a task that has not come to own the file:
 * struct idempotent has the inode (its cookie) before the completion. */
INLINE int wait_completion(u64 completion, int hard, int idempotent)
{
	u32 tid = tid_now();
	struct flags *f = flag();
	struct config *k = cfg();

	if (!f || !k)
		return 0;
	if (idempotent && k->self_tgid == tgid_now()) {
		learn_wait(completion, hard);
		return 0;
	}
	if (!f->active)
		return 0;
	struct load *l = load_of(tid);
	if (!l)
		return 0;
	if (l->flags & LOAD_INIT) {
		/* In a request it sleeps for its own helper, not for others. */
		if (l->req)
			return 0;
		l->flags |= LOAD_BLOCKED;
		return 0;
	}
	if (!idempotent || !k->idempotent || !(l->flags & LOAD_FINIT) ||
	    (l->flags & LOAD_READING) || l->wait)
		return 0;
	u64 inode = word_at(completion - k->cookie_back * WORD);
	u64 *owner = map_lookup(&inodes, &inode);
	u64 target = owner ? *owner : 0;
	char *name = l->name; /* empty until its init */
	l->want = inode;
	if (target) {
		struct load *o = map_lookup(&loads, &target);
		if (o)
			name = o->name;
	}
	waits_for(l, target, hard ? WAIT_FILE_HARD : WAIT_FILE, name);
	return 0;
}

SEC("kprobe/wait_for_completion_interruptible")
int wait_soft(struct pt_regs *regs) { return wait_completion(ARG1(regs), 0, 1); }

SEC("kprobe/wait_for_completion")
int wait_hard(struct pt_regs *regs) { return wait_completion(ARG1(regs), 1, 1); }

SEC("kprobe/wait_for_completion_killable")
int wait_other(struct pt_regs *regs)
{
	thread_awaited(ARG1(regs));
	return wait_completion(ARG1(regs), 0, 0);
}

SEC("kretprobe/wait_for_completion")
int wait_over(struct pt_regs *regs)
{
	struct flags *f = flag();
	if (!f || !f->active)
		return 0;
	struct load *l = load_of(tid_now());
	if (!l || !(l->flags & LOAD_BLOCKED))
		return 0;
	l->flags &= ~LOAD_BLOCKED;
	return 0;
}

#endif
