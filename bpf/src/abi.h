/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The little of the kernel's BPF interface that the probe uses, written out so
 * that the objects depend on clang alone and not on the libbpf or kernel
 * headers of the machine that builds them.
 *
 * Under -target bpf "unsigned long" has 8 bytes whatever the kernel's word is,
 * so nothing here uses it: kernel words are WORD wide and kept in u64.
 */
#ifndef SAFELOAD_ABI_H
#define SAFELOAD_ABI_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static __attribute__((always_inline)) inline
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

enum { MAP_HASH = 1, MAP_ARRAY = 2, MAP_PERCPU_ARRAY = 6, MAP_LRU_HASH = 9, MAP_QUEUE = 22, MAP_STACK = 23, MAP_RINGBUF = 27 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static u64 (*get_current_pid_tgid)(void) = (void *)14;
static u64 (*get_current_uid_gid)(void) = (void *)15;
static long (*get_current_comm)(void *buf, u32 size) = (void *)16;
static u64 (*get_current_task)(void) = (void *)35;
static u64 (*get_current_cgroup_id)(void) = (void *)80;
static long (*map_push)(void *map, const void *value, u64 flags) = (void *)87;
static long (*map_pop)(void *map, void *value) = (void *)88;
static long (*map_peek)(void *map, void *value) = (void *)89;
static long (*send_signal)(u32 sig) = (void *)109;
static long (*probe_read_kernel)(void *dst, u32 size, const void *src) = (void *)113;
static long (*probe_read_kernel_str)(void *dst, u32 size, const void *src) = (void *)115;
static u64 (*ktime_get_boot_ns)(void) = (void *)125;
static long (*ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;

#if defined(__TARGET_ARCH_arm)
#define WORD 4
struct pt_regs { u32 uregs[18]; };
#define ARG1(r) ((u64)(r)->uregs[0])
#define ARG2(r) ((u64)(r)->uregs[1])
#define ARG3(r) ((u64)(r)->uregs[2])
#define RET(r) ((u64)(r)->uregs[0])
#elif defined(__TARGET_ARCH_arm64)
#define WORD 8
struct pt_regs { u64 regs[31], sp, pc, pstate; };
#define ARG1(r) ((r)->regs[0])
#define ARG2(r) ((r)->regs[1])
#define ARG3(r) ((r)->regs[2])
#define RET(r) ((r)->regs[0])
#elif defined(__TARGET_ARCH_x86)
#define WORD 8
struct pt_regs { u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss; };
#define ARG1(r) ((r)->di)
#define ARG2(r) ((r)->si)
#define ARG3(r) ((r)->dx)
#define RET(r) ((r)->ax)
#else
#error "no pt_regs for this architecture"
#endif

/* One kernel word at a kernel address, 0 where it cannot be read. */
INLINE u64 word_at(u64 addr)
{
#if WORD == 4
	u32 w = 0;
#else
	u64 w = 0;
#endif
	probe_read_kernel(&w, sizeof(w), (void *)addr);
	return w;
}

/* A 32-bit field of a tracepoint record, at an offset read from its format
 * file. The helper takes any address; a direct access would need an offset
 * that the verifier of 6.1 knows. */
INLINE u32 field(void *ctx, u32 off)
{
	u32 v = 0;
	probe_read_kernel(&v, sizeof(v), (u8 *)ctx + off);
	return v;
}

/* A tracepoint's string: the low half of a __data_loc is its offset. */
INLINE void field_str(void *ctx, u32 off, char *dst, u32 size)
{
	u32 loc = field(ctx, off) & 0xffff;
	probe_read_kernel_str(dst, size, (u8 *)ctx + loc);
}

#endif
