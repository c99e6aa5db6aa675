// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel keeps a task, and a piece of its memory: for one look, by the
 * process that loads this and by no other. proc_oom_score() is handed the
 * task_struct of whoever's oom_score is read. It takes no lock that others can
 * hold for long, as those of stat and wchan do, and hardly anybody reads it.
 *
 * No BTF, no offset: what lies where in what is read, user space finds out.
 */
#include "abi.h"

#if defined(__TARGET_ARCH_arm)
#define ARG4(r) ((u64)(r)->uregs[3])
#elif defined(__TARGET_ARCH_arm64)
#define ARG4(r) ((r)->regs[3])
#else
#define ARG4(r) ((r)->cx)
#endif

/* As package bpf reads them. */
#define PEEK_MOST 2048

struct ask {
	u64 addr;
	u32 size; /* 0: the task alone */
	u32 tgid; /* who asks */
};

struct answer {
	u64 task;
	u64 sp; /* an address on the asker's own kernel stack */
	s64 err;
	u64 runs; /* counts the answers */
	u8 data[PEEK_MOST];
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ask);
} asks SEC(".maps");

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct answer);
} answers SEC(".maps");

SEC("kprobe/proc_oom_score")
int peek(struct pt_regs *regs)
{
	u32 zero = 0;
	struct ask *a = map_lookup(&asks, &zero);
	struct answer *r = map_lookup(&answers, &zero);

	if (!a || !r || a->tgid != (u32)(get_current_pid_tgid() >> 32))
		return 0;
	r->task = ARG4(regs);
	r->sp = (u64)regs;
	r->err = 0;
	u32 n = a->size;
	if (n > PEEK_MOST)
		n = PEEK_MOST;
	if (n)
		r->err = probe_read_kernel(r->data, n, (void *)a->addr);
	r->runs++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
