// SPDX-License-Identifier: GPL-2.0-only
/*
 * What takes the task of a load long: reading its file, decompressing it, waiting for a symbol, a lock or async functions, or
 * asleep. It is for the picture that a record makes: attached with --record, and by no other watch. Nothing is decided by it.
 *
 *   sys_{enter,exit}_{finit,init}_module   which tasks load
 *   kernel_read_file                       from the call to its return: the file, and firmware that an init asks for
 *   module_decompress                      the same
 *   async_synchronize_full                 the same
 *   resolve_symbol, or ref_module in it    returns -EBUSY while the module that has the symbol is loading; resolve_symbol_wait
 *                                          calls it again until it is not
 *   contention_{begin,end}                 a lock that somebody has
 *   sched_switch                           the task goes to sleep, and runs again
 */
#include "abi.h"

const volatile u32 off_prev_pid = 24;
const volatile u32 off_prev_state = 32;
const volatile u32 off_next_pid = 56;
/* What takes less is not told. */
#define LEAST 200000ull /* ns */

/* As package bpf has them, from 1 on. */
enum what { DISK = 1, DECOMPRESS = 2, SYMBOL = 3, LOCK = 4, ASYNC = 5, SLEEP = 6 };

struct phase {
	u64 from, to; /* boot time, ns */
	u32 tid;
	u32 what; /* enum what */
};

#define MAP(name_, type_, key_, value_, n_)                                    \
	struct {                                                               \
		__uint(type, type_);                                           \
		__uint(max_entries, n_);                                       \
		__type(key, key_);                                             \
		__type(value, value_);                                         \
	} name_ SEC(".maps")

MAP(loading, MAP_LRU_HASH, u32, u64, 1024); /* tid -> when its load began */
MAP(begun, MAP_LRU_HASH, u64, u64, 2048);   /* tid and phase -> when it began */
MAP(lost, MAP_PERCPU_ARRAY, u32, u64, 1);

struct {
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, 128 * 1024);
} events SEC(".maps");

/* Each phase has a place of its own: a lock may be waited for while a file is read. */
INLINE u64 key_of(u32 tid, u32 what) { return ((u64)what << 32) | tid; }

INLINE int phase_begin(u32 tid, u32 what)
{
	if (!map_lookup(&loading, &tid))
		return 0;
	u64 key = key_of(tid, what), now = ktime_get_boot_ns();
	map_update(&begun, &key, &now, BPF_ANY);
	return 0;
}

INLINE int phase_end(u32 tid, u32 what)
{
	u64 *load = map_lookup(&loading, &tid);
	if (!load)
		return 0;
	u64 key = key_of(tid, what), *at = map_lookup(&begun, &key);
	if (!at)
		return 0;
	struct phase p = { .from = *at, .to = ktime_get_boot_ns(), .tid = tid, .what = what };
	map_delete(&begun, &key);
	/* Before the load: a return that was missed has left it. */
	if (p.from < *load || p.to - p.from < LEAST)
		return 0;
	if (ringbuf_output(&events, &p, sizeof(p), 0)) {
		u32 zero = 0;
		u64 *n = map_lookup(&lost, &zero);
		if (n)
			(*n)++;
	}
	return 0;
}

INLINE u32 tid_now(void) { return (u32)get_current_pid_tgid(); }

SEC("tracepoint/syscalls/sys_enter_finit_module")
int load_begin(void *ctx)
{
	u32 tid = tid_now();
	u64 now = ktime_get_boot_ns();
	map_update(&loading, &tid, &now, BPF_ANY);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_finit_module")
int load_end(void *ctx)
{
	u32 tid = tid_now();
	phase_end(tid, SYMBOL); /* after 30 s it gives up */
	map_delete(&loading, &tid);
	return 0;
}

SEC("kprobe/kernel_read_file")
int disk_begin(struct pt_regs *regs) { return phase_begin(tid_now(), DISK); }

SEC("kretprobe/kernel_read_file")
int disk_end(struct pt_regs *regs) { return phase_end(tid_now(), DISK); }

SEC("kprobe/module_decompress")
int decompress_begin(struct pt_regs *regs) { return phase_begin(tid_now(), DECOMPRESS); }

SEC("kretprobe/module_decompress")
int decompress_end(struct pt_regs *regs) { return phase_end(tid_now(), DECOMPRESS); }

SEC("kprobe/async_synchronize_full")
int async_begin(struct pt_regs *regs) { return phase_begin(tid_now(), ASYNC); }

SEC("kretprobe/async_synchronize_full")
int async_end(struct pt_regs *regs) { return phase_end(tid_now(), ASYNC); }

#define EBUSY 16
#define IS_BUSY (WORD == 4 ? (u64)(u32)-EBUSY : (u64)(s64)-EBUSY)

SEC("kretprobe/resolve_symbol")
int symbol_seen(struct pt_regs *regs)
{
	u32 tid = tid_now();
	u64 key = key_of(tid, SYMBOL);
	/* The one returns an ERR_PTR, the other an int. */
	if (RET(regs) != IS_BUSY && RET(regs) != (u32)-EBUSY)
		return phase_end(tid, SYMBOL);
	if (map_lookup(&begun, &key)) /* woken, and that module is loading still */
		return 0;
	return phase_begin(tid, SYMBOL);
}

/* Neither is called for a lock that nobody has. */
SEC("tracepoint/lock/contention_begin")
int lock_begin(void *ctx) { return phase_begin(tid_now(), LOCK); }

SEC("tracepoint/lock/contention_end")
int lock_end(void *ctx) { return phase_end(tid_now(), LOCK); }

/* The states in which a task runs, or would (TASK_REPORT_MAX: it was preempted), are not below this. */
#define ASLEEP 0xff

SEC("tracepoint/sched/sched_switch")
int switched(void *ctx)
{
	if (field(ctx, off_prev_state) & ASLEEP)
		phase_begin(field(ctx, off_prev_pid), SLEEP);
	return phase_end(field(ctx, off_next_pid), SLEEP);
}

char LICENSE[] SEC("license") = "GPL";
