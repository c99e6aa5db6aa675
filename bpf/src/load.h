/* SPDX-License-Identifier: GPL-2.0-only */
/* A load begins, owns its file, gets its name, ends. */
#ifndef SAFELOAD_LOAD_H
#define SAFELOAD_LOAD_H

#include "offsets.h"
#include "chain.h"
#include "ring.h"

INLINE struct load *load_of(u32 tid)
{
	struct task *t = map_lookup(&tasks, &tid);
	if (!t || !t->load)
		return 0;
	u64 id = t->load;
	return map_lookup(&loads, &id);
}

/* Anybody can make these calls, as often as he has time: without CAP_SYS_MODULE
 * they end at once with EPERM (may_init_module). So that he cannot fill the ring,
 * a load is told when it has come further, with the time at which it began. */
INLINE void load_tell(struct load *l)
{
	if (l->flags & LOAD_TOLD)
		return;
	l->flags |= LOAD_TOLD;
	struct event *e = event_new(EV_LOAD, l->id, 0);
	if (!e)
		return;
	e->at = l->began;
	e->tid = l->tid;
	e->tgid = l->tgid;
	e->cgroup = l->cgroup;
	e->ctx = l->ctx;
	e->ret = l->fd;
	event_send(e);
}

#define EBADF 9

/* Ends a load with that: it came to no file, and to no module. */
INLINE int refused_at_once(s32 ret) { return ret == -EPERM || ret == -EBADF; }

/* Of a load whose end was not seen: as if its task had died in the call (EINTR). */
#define RET_MISSED (-4)

/* A task below a request turns from one load (0 if none) to another. */
INLINE void request_next(u64 ctx, u64 from, u64 to)
{
	struct request *r = map_lookup(&requests, &ctx);
	if (!r)
		return;
	if (r->next && r->next != from)
		r->many = 1;
	r->next = to;
	r->came = 1;
}

/* A task is in kthread_create no more, or has its thread. */
INLINE void making_over(u32 tid, struct making *m)
{
	if (!m)
		return;
	u64 until = m->until;
	if (until)
		map_delete(&births, &until);
	map_delete(&creating, &tid);
}

INLINE void load_forget(u32 tid, struct task *t, s32 ret)
{
	u64 id = t->load, ctx = t->ctx;
	struct load *l = map_lookup(&loads, &id);

	t->load = 0;
	making_over(tid, map_lookup(&creating, &tid));
	int told = !refused_at_once(ret) || (l && l->flags & LOAD_TOLD);
	if (l) {
		if (told)
			load_tell(l);
		struct name_key n;
		u64 ino = l->inode;
		probe_read_kernel(&n, sizeof(n), l->name);
		u64 *who = map_lookup(&names, &n);
		if (who && *who == id)
			map_delete(&names, &n);
		who = map_lookup(&inodes, &ino);
		if (who && *who == id)
			map_delete(&inodes, &ino);
		struct request *r = map_lookup(&requests, &ctx);
		if (r && (r->next == id || r->next == l->wait))
			r->next = 0;
		ring_load(tid, ctx, l, ret);
	}
	struct event *e = told ? event_new(EV_LOAD_END, id, 0) : 0;
	if (e) {
		e->ctx = ctx;
		e->ret = ret;
		if (l) {
			e->peer = l->wait;
			probe_read_kernel(e->name, sizeof(e->name), l->name);
		}
		event_send(e);
	}
	map_delete(&loads, &id);
	load_over();
}

INLINE int load_begin(s32 fd)
{
	u32 tid = tid_now();
	u64 now = ktime_get_boot_ns();
	struct config *k = cfg();
	struct task fresh = { .born = now };
	struct load l = {};

	if (k && k->self_tgid == tgid_now()) {
		struct call self = { .id = now };
		map_update(&calls, &tid, &self, BPF_ANY); /* learn_wait asks for it */
		return 0;
	}
	struct task *t = map_lookup(&tasks, &tid);
	l.id = new_id(now, tid);
	l.began = now;
	l.tid = tid;
	l.tgid = tgid_now();
	l.fd = fd;
	l.flags = fd >= 0 ? LOAD_FINIT : 0;
	l.cgroup = get_current_cgroup_id();
	l.uid = uid_now();
	if (t) {
		l.ctx = t->ctx;
		if (t->load) /* its end was missed: it would be in flight for good */
			load_forget(tid, t, RET_MISSED);
	}
	keep(&loads, &l.id, &l);
	if (t) {
		t->load = l.id;
	} else {
		fresh.load = l.id;
		if (!keep(&tasks, &tid, &fresh)) {
			/* Nobody would end it. */
			map_delete(&loads, &l.id);
			return 0;
		}
	}
	load_began();
	request_next(l.ctx, 0, l.id);
	return 0;
}

INLINE int load_end(void *ctx)
{
	u32 tid = tid_now();
	struct config *k = cfg();
	if (k && k->self_tgid == tgid_now())
		map_delete(&calls, &tid);
	struct task *t = map_lookup(&tasks, &tid);
	if (!t || !t->load)
		return 0;
	u64 inherited = t->ctx;
	load_forget(tid, t, (s32)field(ctx, off_exit_ret));
	if (!inherited)
		map_delete(&tasks, &tid);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_finit_module")
int enter_finit(void *ctx) { return load_begin((s32)field(ctx, off_finit_fd)); }

SEC("tracepoint/syscalls/sys_enter_init_module")
int enter_init(void *ctx) { return load_begin(-1); }

SEC("tracepoint/syscalls/sys_exit_finit_module")
int exit_finit(void *ctx) { return load_end(ctx); }

SEC("tracepoint/syscalls/sys_exit_init_module")
int exit_init(void *ctx) { return load_end(ctx); }

SEC("tracepoint/module/module_load")
int module_load(void *ctx)
{
	struct load *l = load_of(tid_now());
	struct name_key n = {};
	field_str(ctx, off_load_name, n.s, sizeof(n.s));
	if (!l) {
		/* Of a call that is not recorded (no room; one of a 32-bit process,
		 * which no tracepoint sees): whoever had the name has it no more. */
		map_delete(&names, &n);
		return 0;
	}
	load_tell(l);
	probe_read_kernel(l->name, sizeof(l->name), n.s);
	u64 id = l->id, waited = l->wait;
	if (l->flags & LOAD_WAITS) {
		/* Who had the name before has failed. */
		l->flags &= ~LOAD_WAITS;
		l->wait = 0;
		request_next(l->ctx, waited ? waited : id, id);
	}
	l->flags |= LOAD_INIT;
	struct flags *f = flag();
	if (f) {
		l->rests = f->rests;
		l->spawns = f->spawns;
	}
	keep(&names, &n, &id);

	struct event *e = event_new(EV_INIT, id, 0);
	if (!e)
		return 0;
	e->ctx = l->ctx;
	probe_read_kernel(e->name, sizeof(e->name), n.s);
	event_send(e);
	return 0;
}

/* Lets user space find f_inode: it is the word of struct file that the first
 * word of another (f_mapping->host) equals. */
INLINE void learn_file(u64 file)
{
	struct selfcheck *s = map_lookup(&selfcheck, &only);
	if (!s)
		return;
#pragma unroll(1)
	for (int i = 0; i < SELF_WORDS; i++) {
		u64 w = word_at(file + i * WORD);
		s->file[i] = w;
		s->first[i] = w ? word_at(w) : 0;
	}
	s->seen = 1;
}

SEC("kprobe/init_module_from_file")
int own_file(struct pt_regs *regs)
{
	u64 file = ARG1(regs);
	struct config *k = cfg();
	if (!k)
		return 0;
	if (k->self_tgid == tgid_now()) {
		learn_file(file);
		return 0;
	}
	struct load *l = load_of(tid_now());
	/* Read by kernel_read_file, and once: its init may read firmware. */
	if (!l || !(l->flags & LOAD_FINIT) || (l->flags & LOAD_READING))
		return 0;
	l->flags |= LOAD_READING;
	load_tell(l);
	if (!k->inode_off)
		return 0;
	u64 inode = word_at(file + k->inode_off), id = l->id;
	if (!inode)
		return 0;
	l->inode = inode;
	keep(&inodes, &inode, &id);
	return 0;
}

/* The file is in memory: one of init_module is told from here on. */
SEC("kprobe/load_module")
int load_read(struct pt_regs *regs)
{
	struct flags *f = flag();
	if (!f || !f->active)
		return 0;
	struct load *l = load_of(tid_now());
	if (l)
		load_tell(l);
	return 0;
}

#endif
