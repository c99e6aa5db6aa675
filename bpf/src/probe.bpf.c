// SPDX-License-Identifier: GPL-2.0-only
/*
 * The probe: follows every module load and every helper that the kernel starts
 * for one, and sees at the moment of a wait whether the load waits for itself.
 *
 *   sys_{enter,exit}_{finit,init}_module   a load begins and ends
 *   init_module_from_file                  it owns its file (6.5 and later)
 *   module_load                            it has a name, its init runs next
 *   module_request, call_usermodehelper_exec        someone asks and will wait
 *   call_usermodehelper_exec_async(same pointer)    the child of that request
 *   sched_process_{fork,exec,exit}         who descends from it
 *   __kthread_create_on_node, workqueue_*  what an init has others do for it
 *   wait_for_completion_interruptible      the wait by inode, and inits asleep
 *   finished_loading                       the wait by name
 *
 * No BTF: nothing here knows an offset in a kernel structure, save what user
 * space learned at start (struct config).
 */
#include "chain.h"

char LICENSE[] SEC("license") = "GPL";

/* Offsets in tracepoint records, from their format files, set before loading. */
const volatile u32 off_finit_fd = 16;
const volatile u32 off_exit_ret = 16;
const volatile u32 off_load_name = 12;
const volatile u32 off_request_name = 20;
const volatile u32 off_fork_parent = 24;
const volatile u32 off_fork_child = 44;
const volatile u32 off_exec_pid = 12;
const volatile u32 off_exec_old = 16;
const volatile u32 off_queue_work = 8;
const volatile u32 off_start_work = 8;
/* get_current_task oopses arm64 without JIT (seen on 6.12). */
const volatile u32 use_current_task = 1;

INLINE struct load *load_of(u32 tid)
{
	struct task *t = map_lookup(&tasks, &tid);
	if (!t || !t->load)
		return 0;
	u64 id = t->load;
	return map_lookup(&loads, &id);
}

/* ---- loads ---- */

/* A task below a request turns from one load (0 if none) to another. */
INLINE void request_next(u64 ctx, u64 from, u64 to)
{
	struct request *r = map_lookup(&requests, &ctx);
	if (!r)
		return;
	if (r->next && r->next != from)
		r->many = 1;
	r->next = to;
}

INLINE int load_begin(s32 fd)
{
	u32 tid = tid_now();
	u64 now = ktime_get_boot_ns();
	struct config *k = cfg();
	struct flags *f = flag();
	struct task fresh = { .born = now };
	struct load l = {};

	if (k && k->self_tgid == tgid_now())
		return 0;
	struct task *t = map_lookup(&tasks, &tid);
	l.id = new_id(now, tid);
	l.began = now;
	l.tid = tid;
	l.tgid = tgid_now();
	l.fd = fd;
	l.flags = fd >= 0 ? LOAD_FINIT : 0;
	l.cgroup = get_current_cgroup_id();
	if (t)
		l.ctx = t->ctx;
	keep(&loads, &l.id, &l);
	if (f)
		f->active = 1;
	if (t) {
		t->load = l.id;
	} else {
		fresh.load = l.id;
		keep(&tasks, &tid, &fresh);
	}
	request_next(l.ctx, 0, l.id);

	struct event *e = event_new(EV_LOAD, l.id, 0);
	if (!e)
		return 0;
	e->ctx = l.ctx;
	e->ret = fd;
	event_send(e);
	return 0;
}

INLINE void load_forget(u32 tid, struct task *t, s32 ret)
{
	u64 id = t->load, ctx = t->ctx;
	struct load *l = map_lookup(&loads, &id);

	t->load = 0;
	if (l) {
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
	}
	struct event *e = event_new(EV_LOAD_END, id, 0);
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
}

INLINE int load_end(void *ctx)
{
	u32 tid = tid_now();
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
	if (!l)
		return 0;
	field_str(ctx, off_load_name, n.s, sizeof(n.s));
	probe_read_kernel(l->name, sizeof(l->name), n.s);
	l->flags |= LOAD_INIT;
	u64 id = l->id;
	keep(&names, &n, &id);

	struct event *e = event_new(EV_INIT, id, 0);
	if (!e)
		return 0;
	e->ctx = l->ctx;
	probe_read_kernel(e->name, sizeof(e->name), n.s);
	event_send(e);
	return 0;
}

/* ---- the file ---- */

/* Lets user space find f_inode: it is the word of struct file that the first
 * word of another (f_mapping->host) equals. */
INLINE void learn_file(u64 file)
{
	u32 zero = 0;
	struct selfcheck *s = map_lookup(&selfcheck, &zero);
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
	if (!l)
		return 0;
	l->flags |= LOAD_READING;
	if (!k->inode_off)
		return 0;
	u64 inode = word_at(file + k->inode_off), id = l->id;
	if (!inode)
		return 0;
	l->inode = inode;
	keep(&inodes, &inode, &id);
	return 0;
}

/* Where the wait cannot be left (6.5 to 6.10) the last moment is the open of
 * the file before it. security_file_open runs with f_inode set. */
SEC("kprobe/security_file_open")
int open_file(struct pt_regs *regs)
{
	u32 tid = tid_now();
	struct config *k = cfg();
	struct task *t;

	if (!k || !k->open_breaks || !k->inode_off)
		return 0;
	t = map_lookup(&tasks, &tid);
	if (!t || !t->ctx || t->load)
		return 0;
	u64 inode = word_at(ARG1(regs) + k->inode_off);
	u64 *owner = map_lookup(&inodes, &inode);
	if (!owner)
		return 0;
	u64 target = *owner, ctx = t->ctx;
	u64 v = close_cycle(target, ctx, WAIT_OPEN);
	if (!VERDICT_CERT(v))
		return 0;
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

/* ---- waits ---- */

INLINE void waits_for(struct load *l, u64 target, u32 how, char *name)
{
	u64 ctx = l->ctx, id = l->id;

	l->wait = target;
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
	waits_for(l, target, WAIT_NAME, n.s);
	return 0;
}

INLINE void learn_wait(u64 completion, int hard)
{
	u32 zero = 0;
	struct selfcheck *s = map_lookup(&selfcheck, &zero);
	if (!s || !s->seen)
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
		if (l->suspect) {
			struct event *e = event_new(EV_BLOCKED, l->id, 0);
			if (e)
				event_send(e);
		}
		return 0;
	}
	if (!idempotent || !k->idempotent || !(l->flags & LOAD_FINIT) ||
	    (l->flags & LOAD_READING) || l->wait)
		return 0;
	u64 inode = word_at(completion - k->cookie_back * WORD);
	u64 *owner = map_lookup(&inodes, &inode);
	u64 target = owner ? *owner : 0;
	char *name = l->name; /* empty until its init */
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
int wait_other(struct pt_regs *regs) { return wait_completion(ARG1(regs), 0, 0); }

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
	if (l->suspect) {
		struct event *e = event_new(EV_UNBLOCKED, l->id, 0);
		if (e)
			event_send(e);
	}
	return 0;
}

/* ---- requests ---- */

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
		r->hop = HOP_WORK;
		return *id;
	}
	if (use_current_task) {
		u64 self = this_task();
		id = map_lookup(&kthreads, &self);
		if (id) {
			r->hop = HOP_KTHREAD;
			return *id;
		}
	}
	return 0;
}

#define UMH_WAIT_PROC 2

SEC("kprobe/call_usermodehelper_exec")
int request_begin(struct pt_regs *regs)
{
	u64 sub = ARG1(regs);
	u64 now = ktime_get_boot_ns();
	u32 tid = tid_now();
	struct request r = {};

	struct name_key *n = map_lookup(&asked, &tid);
	if (n)
		probe_read_kernel(r.name, sizeof(r.name), n->s);
	map_delete(&asked, &tid);
	if (!(ARG2(regs) & UMH_WAIT_PROC))
		return 0;
	r.id = new_id(now, tid);
	r.began = now;
	r.tid = tid;
	r.tgid = tgid_now();
	get_current_comm(r.comm, sizeof(r.comm));
	u64 id = acts_for(tid, &r);
	struct load *l = map_lookup(&loads, &id);
	if (l) {
		r.load = id;
		if (r.hop == HOP_TASK) {
			l->req = r.id;
		} else {
			l->kreq = r.id;
			r.parent = l->ctx;
		}
	} else {
		r.hop = HOP_NONE;
	}
	keep(&requests, &r.id, &r);
	keep(&subs, &sub, &r.id);

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

/* The child is gone, so nobody waits for it any more. */
INLINE void request_end(u64 id, u32 tid)
{
	struct request *r = map_lookup(&requests, &id);
	if (!r || r->child != tid)
		return;
	u64 lid = r->load;
	struct load *l = map_lookup(&loads, &lid);
	if (l && l->req == id)
		l->req = 0;
	if (l && l->kreq == id)
		l->kreq = 0;
	struct event *e = event_new(EV_REQUEST_END, id, lid);
	if (e)
		event_send(e);
	map_delete(&requests, &id);
}

/* ---- descent ---- */

SEC("tracepoint/sched/sched_process_fork")
int task_fork(void *ctx)
{
	u32 parent = field(ctx, off_fork_parent);
	struct task *t = map_lookup(&tasks, &parent);
	if (!t || !t->ctx)
		return 0;
	u32 child = field(ctx, off_fork_child);
	struct task c = { .ctx = t->ctx, .born = ktime_get_boot_ns() };
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
	struct task *t = map_lookup(&tasks, &tid);
	if (!t)
		return 0;
	u64 req = t->ctx;
	if (t->load)
		load_forget(tid, t, -4 /* EINTR: the task died in the call */);
	map_delete(&tasks, &tid);
	if (!req)
		return 0;
	request_end(req, tid);
	struct event *e = event_new(EV_EXIT, 0, 0);
	if (!e)
		return 0;
	e->ctx = req;
	event_send(e);
	return 0;
}

/* ---- what an init has others do ---- */

/* The load whose init, or whose thread or work item, is running. */
INLINE u64 on_behalf_of(void)
{
	u32 tid = tid_now();
	struct load *l = load_of(tid);
	u64 *id;
	if (l)
		return (l->flags & LOAD_INIT) ? l->id : 0;
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

INLINE void spawned(void *map, u64 key)
{
	struct flags *f = flag();
	if (!f || !f->active)
		return;
	u64 id = on_behalf_of();
	if (!id)
		return;
	struct load *l = map_lookup(&loads, &id);
	if (!l)
		return;
	f->works = 1;
	map_update(map, &key, &id, BPF_ANY);
}

/* ERR_PTR: the last page of addresses. */
#define IS_ERR_FROM (WORD == 4 ? 0xfffff001ull : 0xfffffffffffff001ull)

SEC("kretprobe/__kthread_create_on_node")
int kthread_created(struct pt_regs *regs)
{
	u64 task = RET(regs);
	if (!task || task >= IS_ERR_FROM)
		return 0;
	spawned(&kthreads, task);
	return 0;
}

SEC("tracepoint/workqueue/workqueue_queue_work")
int work_queued(void *ctx)
{
	struct flags *f = flag();
	if (!f || !f->active)
		return 0;
	spawned(&works, word_at((u64)ctx + off_queue_work));
	return 0;
}

SEC("kprobe/queue_delayed_work_on")
int work_delayed(struct pt_regs *regs)
{
	spawned(&works, ARG3(regs));
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
		return 0;
	u64 load = *id;
	map_delete(&works, &work);
	if (map_lookup(&loads, &load))
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
