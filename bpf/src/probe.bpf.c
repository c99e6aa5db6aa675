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
 *   __kthread_create_on_node, kthread, workqueue_*  what an init has others do for it
 *   wait_for_completion_interruptible      the wait by inode, and inits asleep
 *   finished_loading                       the wait by name
 *   contention_{begin,end}                 a load waits for a lock
 *
 * No BTF: nothing here knows an offset in a kernel structure, save what user
 * space learned at start (struct config).
 */
#include "load.h"
#include "request.h"
#include "spawn.h"
#include "wait.h"
#include "lock.h"

char LICENSE[] SEC("license") = "GPL";
