/* SPDX-License-Identifier: GPL-2.0-only */
/* Somebody asks for a helper and waits for it; who descends from that helper. */
#ifndef SAFELOAD_REQUEST_H
#define SAFELOAD_REQUEST_H

#include "load.h"

SEC("tracepoint/module/module_request")
int module_request(void *ctx)
{
	u32 tid = tid_now();
	struct name_key n = {};
	field_str(ctx, off_request_name, n.s, sizeof(n.s));
	map_update(&asked, &tid, &n, BPF_ANY);
	return 0;
}

/* For which load does the current task act, and how? */
INLINE u64 acts_for(u32 tid, struct request *r)
{
	struct task *t = map_lookup(&tasks, &tid);
	u64 *id;
	if (t) {
		r->parent = t->ctx;
		r->hop = t->load ? HOP_TASK : HOP_NONE;
		return t->load;
	}
	struct flags *f = flag();
	if (!f || !f->works)
		return 0;
	id = map_lookup(&working, &tid);
	if (id) {
		r->hop = *id == UNSURE ? HOP_UNSURE : HOP_WORK;
		return *id;
	}
	if (use_current_task) {
		u64 self = this_task();
		id = map_lookup(&kthreads, &self);
		if (id) {
			r->hop = *id == UNSURE ? HOP_UNSURE : HOP_KTHREAD;
			return *id;
		}
	}
	return 0;
}

#define UMH_WAIT_PROC 2
#define UMH_KILLABLE 4 /* only module requests are (call_modprobe) */

/* Nobody waits for it any more. left: its helper may still run. */
INLINE void request_end(u64 id, struct request *r, int left)
{
	u64 lid = r->load;
	struct load *l = map_lookup(&loads, &lid);
	if (l && l->req == id)
		l->req = 0;
	if (l && l->kreq == id)
		l->kreq = 0;
	struct event *e = event_new(EV_REQUEST_END, id, lid);
	if (e)
		event_send(e);
	if (r->module && (!r->came || left))
		ring_request(id, r);
	map_delete(&requests, &id);
}

/* Any user can have the kernel start /sbin/request-key, as often at once as he
 * has processes. Such a request takes a place only when a load may come to wait
 * for it: when it is made for one, or below another request. Of module requests
 * the kernel has no more than 50 at once (kmod_concurrent_max). What descends from
 * a helper whose request is not here is, to the guard, of unknown descent. */
INLINE int matters(int module, struct request *r)
{
	u64 above = r->parent;
	return module || r->load || r->hop == HOP_UNSURE || (above && map_lookup(&requests, &above));
}

SEC("kprobe/call_usermodehelper_exec")
int request_begin(struct pt_regs *regs)
{
	u64 sub = ARG1(regs);
	u64 now = ktime_get_boot_ns();
	u32 tid = tid_now();
	struct request r = {};

	int module = !!(ARG2(regs) & UMH_KILLABLE);
	struct name_key *n = map_lookup(&asked, &tid);
	if (n) {
		module = 1;
		probe_read_kernel(r.name, sizeof(r.name), n->s);
	}
	map_delete(&asked, &tid);
	map_delete(&subs, &sub); /* of a request whose child never ran */
	if (!(ARG2(regs) & UMH_WAIT_PROC))
		return 0;
	struct call *call = map_lookup(&calls, &tid);
	if (call) {
		/* Its last one is over; the return was missed. */
		u64 last = call->id;
		map_delete(&calls, &tid);
		struct request *old = map_lookup(&requests, &last);
		if (old)
			request_end(last, old, 1);
	}
	r.id = new_id(now, tid);
	r.began = now;
	r.tid = tid;
	r.tgid = tgid_now();
	r.uid = uid_now();
	r.cgroup = get_current_cgroup_id();
	r.module = module;
	get_current_comm(r.comm, sizeof(r.comm));
	u64 id = acts_for(tid, &r);
	struct load *l = map_lookup(&loads, &id);
	if (l)
		r.load = id;
	if (!matters(module, &r))
		return 0;
	if (l) {
		if (r.hop == HOP_TASK) {
			l->req = r.id;
			l->flags &= ~LOAD_BLOCKED;
		} else {
			l->kreq = r.id;
			r.parent = l->ctx;
		}
	} else if (r.hop != HOP_UNSURE) {
		r.hop = HOP_NONE;
	}
	if (keep(&requests, &r.id, &r)) {
		keep(&subs, &sub, &r.id);
		struct call now_in = { .id = r.id };
		map_update(&calls, &tid, &now_in, BPF_ANY);
		if (use_current_task) {
			u64 self = this_task();
			map_update(&askers, &self, &r.id, BPF_ANY);
		}
	}

	struct event *e = event_new(EV_REQUEST, r.id, r.load);
	if (!e)
		return 0;
	e->ctx = r.parent;
	e->how = r.hop;
	probe_read_kernel(e->name, sizeof(e->name), r.name);
	event_send(e);
	return 0;
}

SEC("kprobe/call_usermodehelper_exec_async")
int request_child(struct pt_regs *regs)
{
	u64 sub = ARG1(regs);
	u32 tid = tid_now();
	u64 *id = map_lookup(&subs, &sub);
	struct task t = { .born = ktime_get_boot_ns() };

	if (!id)
		return 0;
	t.ctx = *id;
	map_delete(&subs, &sub);
	struct request *r = map_lookup(&requests, &t.ctx);
	if (!r)
		return 0;
	r->child = tid;
	keep(&tasks, &tid, &t);
	struct event *e = event_new(EV_CHILD, t.ctx, r->load);
	if (!e)
		return 0;
	e->ctx = t.ctx;
	event_send(e);
	return 0;
}

/* Usually its child is gone by now, and the request with it. Not when no child
 * could be started, or the requester was killed. */
SEC("kretprobe/call_usermodehelper_exec")
int request_over(struct pt_regs *regs)
{
	u32 tid = tid_now();
	struct call *call = map_lookup(&calls, &tid);
	if (!call)
		return 0;
	u64 id = call->id;
	struct request *r = map_lookup(&requests, &id);
	if (r)
		request_end(id, r, !!r->child);
	ring_result(call, (s32)RET(regs));
	map_delete(&calls, &tid);
	return 0;
}

SEC("tracepoint/sched/sched_process_fork")
int task_fork(void *ctx)
{
	u32 parent = field(ctx, off_fork_parent);
	struct task *t = map_lookup(&tasks, &parent);
	u32 child = field(ctx, off_fork_child);
	/* The end of whoever had this number before may have been missed. */
	struct task *gone = map_lookup(&tasks, &child);
	if (gone) {
		if (gone->load)
			load_forget(child, gone, RET_MISSED);
		map_delete(&tasks, &child);
	}
	if (!t || !t->ctx)
		return 0;
	struct task c = { .ctx = t->ctx, .born = ktime_get_boot_ns() };
	if (!map_lookup(&requests, &c.ctx))
		return 0; /* a daemon that a helper left: nobody waits for it */
	keep(&tasks, &child, &c);
	struct event *e = event_new(EV_FORK, 0, 0);
	if (!e)
		return 0;
	e->ctx = c.ctx;
	e->ret = (s32)child;
	event_send(e);
	return 0;
}

/* A thread that execs takes its leader's pid; the leader's entry went with the
 * leader (de_thread). */
SEC("tracepoint/sched/sched_process_exec")
int task_exec(void *ctx)
{
	u32 pid = field(ctx, off_exec_pid), old = field(ctx, off_exec_old);
	struct task *t = map_lookup(&tasks, &old);
	if (!t || !t->ctx)
		return 0;
	u64 req = t->ctx;
	if (pid != old) {
		struct task moved = { .ctx = req, .born = t->born };
		keep(&tasks, &pid, &moved);
		map_delete(&tasks, &old);
	}
	struct event *e = event_new(EV_EXEC, 0, 0);
	if (!e)
		return 0;
	e->ctx = req;
	event_send(e);
	return 0;
}

SEC("tracepoint/sched/sched_process_exit")
int task_exit(void *ctx)
{
	u32 tid = tid_now();
	struct flags *f = flag();
	if (f && f->works) {
		struct making *m = map_lookup(&creating, &tid);
		if (m) {
			if (m->rests == f->rests)
				f->lossy = 1; /* the return was missed, and with it who created that thread */
			making_over(tid, m);
		}
		if (use_current_task) {
			u64 self = this_task();
			map_delete(&kthreads, &self); /* the next task may get its memory */
		}
	}
	struct task *t = map_lookup(&tasks, &tid);
	if (!t)
		return 0;
	u64 req = t->ctx;
	if (t->load)
		load_forget(tid, t, RET_MISSED);
	map_delete(&tasks, &tid);
	if (!req)
		return 0;
	struct request *r = map_lookup(&requests, &req);
	if (r && r->child == tid)
		request_end(req, r, 0);
	struct event *e = event_new(EV_EXIT, 0, 0);
	if (!e)
		return 0;
	e->ctx = req;
	event_send(e);
	return 0;
}

#endif
