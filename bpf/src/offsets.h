/* SPDX-License-Identifier: GPL-2.0-only */
/* What user space learned of this kernel before the programs are loaded. */
#ifndef SAFELOAD_OFFSETS_H
#define SAFELOAD_OFFSETS_H

#include "abi.h"

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
const volatile u32 off_lock_addr = 8;
const volatile u32 off_lock_flags = 16;
const volatile u32 off_got_addr = 8;
/* Which lock contention_begin is of: all of its flags, as its format file has them. */
const volatile u32 lock_mutex = 32;
const volatile u32 lock_read = 2;
const volatile u32 lock_write = 4;
/* get_current_task oopses arm64 without JIT (seen on 6.12). */
const volatile u32 use_current_task = 1;

#endif
