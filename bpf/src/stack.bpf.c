// SPDX-License-Identifier: GPL-2.0-only
/*
 * An iterator over all threads that writes, for each, its thread id and where
 * it is in the kernel. It is read, not attached: nothing stays behind.
 *
 * It needs the kernel's BTF (bpf_iter, 5.8; bpf_get_task_stack, 5.9), which
 * 32-bit ARM does not have.
 */
#include "abi.h"

#define CORE __attribute__((preserve_access_index))

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} CORE;

struct task_struct {
	int pid;
} CORE;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} CORE;

static long (*seq_write)(struct seq_file *seq, const void *data, u32 size) = (void *)127;
static long (*get_task_stack)(struct task_struct *task, void *buf, u32 size, u64 flags) = (void *)141;

/* As package bpf reads it. */
struct stack {
	u32 tid;
	s32 size; /* of pc, in bytes, or an error */
	u64 pc[32];
};

SEC("iter/task")
int stacks(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct stack s = {};

	if (!task)
		return 0;
	s.tid = task->pid;
	s.size = get_task_stack(task, s.pc, sizeof(s.pc), 0);
	seq_write(seq, &s, sizeof(s));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
