/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the probe knows: loads, requests and the tasks that act for them.
 *
 * Ids are unique until reboot and never used again, so that a left-over entry
 * can name something that is gone but never something else: whoever follows an
 * id must find it in its map, or the trail ends.
 *
 * The maps marked PINNED are read from user space by internal/ancestry; their
 * layout is its contract (ANCESTRY_ABI).
 */
#ifndef SAFELOAD_STATE_H
#define SAFELOAD_STATE_H

#include "abi.h"

#define ANCESTRY_ABI 7
#define NAME_LEN 64 /* MODULE_NAME_LEN is 56 or 60; a request may be as long */
#define COMM_LEN 16

/* In the place of a load: it is not known for which one. */
#define UNSURE (~0ull)

/* How a request came to be, seen from the load that is waiting for it. */
enum hop {
	HOP_NONE = 0,    /* the requester acts for no load */
	HOP_TASK = 1,    /* the loading task itself waits in the request */
	HOP_KTHREAD = 2, /* a kernel thread that the load's init started */
	HOP_WORK = 3,    /* a work item that the load's init queued */
	HOP_UNSURE = 4,  /* what an interrupt queued: for whom is not known */
};

enum certainty { CERT_LIKELY = 1, CERT_PROVEN = 2 };

enum load_flags {
	LOAD_FINIT = 1,   /* by descriptor */
	LOAD_READING = 2, /* reached init_module_from_file: owns the file */
	LOAD_INIT = 4,    /* announced by module_load: init is about to run */
	LOAD_BLOCKED = 8, /* its task is in a wait for a completion */
	LOAD_WAITS = 16,  /* waits for another: for wait, or else by want or name */
	LOAD_TOLD = 32,   /* its beginning is an event: it came further than anybody's call does */
};

/* PINNED. A task that loads, or that descends from a request's child. */
struct task {
	u64 ctx;  /* request that it descends from, 0 if none */
	u64 load; /* load that it is in, 0 if none */
	u64 born; /* boot time in ns when the entry was made */
};

/* PINNED. One finit_module or init_module call in flight. */
struct load {
	u64 id;
	u64 began; /* boot time, ns */
	u64 ctx;   /* request that its task descends from */
	u64 req;   /* request in which its own task waits */
	u64 kreq;  /* latest request by what its init started */
	u64 wait;  /* load that it waits for */
	u64 inode; /* kernel address of the file's inode, 0 unknown */
	u64 cgroup;
	u32 tid, tgid;
	u32 flags;   /* only its own task writes them */
	s32 fd;
	u64 want; /* inode that it waits for, whoever owns it */
	char name[NAME_LEN];
	u32 rests, spawns; /* of struct flags, when its init was about to run */
	u64 lock;   /* kernel address of the lock that its task waits for, 0 none */
	u64 holder; /* request in which whoever holds that lock waits, 0 none */
	u32 lock_how;
	u32 uid; /* real, of its task */
};

/* PINNED. One call_usermodehelper_exec that waits for its child. */
struct request {
	u64 id;
	u64 began;
	u64 load;   /* load that it is made for, 0 if none */
	u64 parent; /* request that the requester descends from */
	u64 next;   /* load that a task below it is in or waits for */
	u32 tid, tgid;
	u32 child; /* 0 until the child runs */
	u32 hop;
	u32 many; /* several tasks below it loaded at once: next is not all */
	u32 came; /* a load below it has begun */
	char name[NAME_LEN]; /* empty when it is not for a module */
	char comm[COMM_LEN];
	u64 cgroup;
	u32 uid; /* real, of the requester */
	u32 module; /* it is for one */
};

enum entry_flags {
	ENTRY_APART = 1, /* in the ring's second part */
	ENTRY_TOLD = 2,  /* its result is known */
};

/* The kernel cuts names of modules, and those asked for, to MODULE_NAME_LEN. */
#define ENTRY_NAME_LEN 60
#define RING_LOADS 512    /* a power of two, as is the other */
#define RING_NOTHINGS 256 /* of what came to nothing */

/* PINNED. What has ended: a load with the request that it comes from, or a
 * request that no load came of. */
struct entry {
	u32 seq;   /* how many were written before it, and 1; 0 while it is written */
	u32 flags;
	u64 load;  /* id, 0: it is a request */
	u64 ctx;   /* id of the request, 0: none */
	u64 began, ended; /* of the load, or else the request; boot time, ns */
	u64 cgroup;
	u32 tid, tgid, uid; /* of who loads */
	s32 ret; /* of the load; of a request: errno, or its helper's wait status */
	char comm[COMM_LEN];
	/* Of the request, if it was still known. */
	u64 for_load; /* load that it is made for, 0 if none */
	u64 asker_cgroup;
	u32 asker_tid, asker_tgid, asker_uid;
	u32 hop;
	u32 helper;
	char asker_comm[COMM_LEN];
	char name[ENTRY_NAME_LEN];  /* module; empty if the load ended before the kernel had it */
	char asked[ENTRY_NAME_LEN];
	u32 pad;
};

enum event_kind {
	EV_REQUEST = 1,
	EV_CHILD = 2,
	EV_REQUEST_END = 3,
	EV_LOAD = 4,
	EV_INIT = 5,
	EV_LOAD_END = 6,
	EV_WAIT = 7,
	EV_OPEN = 8,
	EV_FORK = 9,
	EV_EXEC = 10,
	EV_EXIT = 11,
	EV_LOCK = 12,
};

enum wait_how {
	WAIT_NAME = 1,
	WAIT_FILE = 2,
	WAIT_FILE_HARD = 3,
	WAIT_OPEN = 4,
	WAIT_MUTEX = 5,
	WAIT_READ = 6,  /* a rw_semaphore that a writer holds, to read */
	WAIT_WRITE = 7, /* the same, to write */
};

struct event {
	u64 at; /* boot time, ns */
	u64 id; /* the load or request that it is about */
	u64 peer;
	u64 ctx;
	u64 cgroup;
	u32 kind;
	u32 tid, tgid;
	u32 how; /* enum hop, enum wait_how */
	u32 cert;
	s32 ret;
	char comm[COMM_LEN];
	char name[NAME_LEN];
};

/* Written by user space, read by the programs. */
struct config {
	u32 self_tgid;   /* whose calls are the self-check */
	u32 signal;      /* to send to a proven waiter, 0 none */
	u32 idempotent;  /* the kernel has the wait by inode */
	u32 inode_off;   /* of f_inode in struct file, 0 not known */
	u32 cookie_back; /* words from a waiter's completion back to its cookie */
	u32 open_breaks; /* the wait cannot be left: act on the open before it */
	/* Boot time in ns: whoever watches writes these again and again, so that
	 * what it wanted ends with it, however it ends. */
	u64 reads_until;  /* somebody reads the events */
	u64 breaks_until; /* somebody wants the signal sent */
};

#define SELF_WORDS 32
#define SELF_BACK 8
struct selfcheck {
	u64 file[SELF_WORDS];  /* words of the struct file */
	u64 first[SELF_WORDS]; /* the word that each of them points at */
	u64 back[SELF_BACK];   /* words before the completion, nearest first */
	u32 seen;              /* struct file was read */
	u32 soft, hard;        /* waits seen that a signal can end, and not */
	u32 pad;
};

/* PINNED. */
struct flags {
	u32 active; /* loads may be in flight */
	u32 works;  /* works or threads of loads may be about */
	u32 lossy;  /* a map was full, or a return was missed: something is not in the maps */
	u32 rests;  /* how often active was cleared or set again: meanwhile nothing was recorded */
	u32 spawns; /* threads and work items of loads that were recorded */
	u32 fulls;  /* how often a map was full, since it was made */
};

/* PINNED. A task that is in kthread_create for a load. */
struct making {
	u32 depth; /* one function that is hooked calls another */
	u32 rests; /* of struct flags: at another count it is of a load that has ended */
	u64 load;  /* for which the thread is to be */
	u64 until; /* address of the completion that it sleeps in until the thread begins, 0: not yet */
};

/* A task in call_usermodehelper_exec. */
struct call {
	u64 id;     /* of its request */
	u32 slot;   /* of that request's entry in the ring */
	u32 number; /* seq of that entry, 0: it has none yet */
};

/* PINNED. Who keeps these maps, written by user space. */
struct owner {
	u64 start;    /* of the process: field 22 of /proc/PID/stat */
	u64 beat;     /* boot time in ns, about once a second */
	u32 abi;      /* ANCESTRY_ABI; 0: kept no more */
	u32 pid;      /* 0: no process, the links are pinned beside the maps */
	u32 complete; /* nothing in flight began before the probe */
	u32 spawns;   /* all that inits start is recorded: the hooks for that are there */
	u32 links;    /* pinned beside the maps as link-0 and so on: all of them, or nothing is believed */
	u32 pad;
};

#define MAP(name_, type_, key_, value_, n_)                                    \
	struct {                                                               \
		__uint(type, type_);                                           \
		__uint(max_entries, n_);                                       \
		__type(key, key_);                                             \
		__type(value, value_);                                         \
	} name_ SEC(".maps")

struct name_key { char s[NAME_LEN]; };

/* As many as there are loads, and as many again that descend from requests. */
#define TASKS 2048

MAP(tasks, MAP_HASH, u32, struct task, TASKS);
MAP(loads, MAP_HASH, u64, struct load, 1024);
MAP(requests, MAP_HASH, u64, struct request, 512);
MAP(names, MAP_HASH, struct name_key, u64, 1024);
MAP(inodes, MAP_HASH, u64, u64, 1024);
/* One for each load in flight: whether there is any is asked of it, since the
 * programs cannot count (atomics fail in 6.1's JIT for ARM). Each has a task. */
struct {
	__uint(type, MAP_STACK);
	__uint(max_entries, TASKS);
	__type(value, u32);
} inflight SEC(".maps");
/* Neither the thread's beginning was seen, nor the return (a return probe has room for
 * some ten callers at once): that leaves a task here, and a thread may be missing in kthreads. */
MAP(creating, MAP_HASH, u32, struct making, 64);
MAP(births, MAP_HASH, u64, u32, 64); /* struct making's until -> tid */
/* What an LRU map forgets is taken for what never was. All of these have room for
 * what the programs rely on, and on more than a few CPUs get more of it for the
 * batches that are kept for each CPU (bpf/room.go). */
MAP(subs, MAP_LRU_HASH, u64, u64, 512);    /* subprocess_info -> request */
MAP(kthreads, MAP_LRU_HASH, u64, u64, 1024); /* task_struct -> load */
MAP(works, MAP_LRU_HASH, u64, u64, 1536);  /* work_struct -> load */
MAP(strays, MAP_LRU_HASH, u64, u64, 512);  /* work_struct that an interrupt queued -> UNSURE */
MAP(delays, MAP_LRU_HASH, u64, u64, 1024);  /* the same, queued by a timer that the init set */
MAP(calls, MAP_LRU_HASH, u32, struct call, 512);
MAP(working, MAP_LRU_HASH, u32, u64, 512); /* kworker's tid -> load */
MAP(asked, MAP_LRU_HASH, u32, struct name_key, 512); /* tid -> name */
MAP(askers, MAP_LRU_HASH, u64, u64, 512);   /* task_struct -> request that it made last */
MAP(claims, MAP_LRU_HASH, u64, u64, 512);  /* cycles that were broken */
MAP(doomed, MAP_LRU_HASH, u32, u64, 64);   /* tid that must not come out of its open */
MAP(config, MAP_ARRAY, u32, struct config, 1);
MAP(owner, MAP_ARRAY, u32, struct owner, 1);
MAP(flags, MAP_ARRAY, u32, struct flags, 1);
MAP(selfcheck, MAP_ARRAY, u32, struct selfcheck, 1);
MAP(lost, MAP_PERCPU_ARRAY, u32, u64, 1);
MAP(scratch, MAP_PERCPU_ARRAY, u32, struct event, 1);

struct {
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, 512 * 1024);
} events SEC(".maps");

/* The helper returns a long, which a 32-bit kernel extends by its sign; a
 * pointer from a register is not. */
INLINE u64 this_task(void) { return WORD == 4 ? (u32)get_current_task() : get_current_task(); }

INLINE u32 tid_now(void) { return (u32)get_current_pid_tgid(); }
INLINE u32 tgid_now(void) { return get_current_pid_tgid() >> 32; }

/* Microseconds (nearly: 1024 ns) since boot above, the task below: two ids can
 * only be equal when one task makes both within a microsecond, or 52 days apart
 * to the microsecond. */
INLINE u64 new_id(u64 now, u32 tid) { return ((now >> 10) << 22) | (tid & 0x3fffff); }

/* The key of an array's one entry. On the stack it would be a state more for the verifier, of what follows, on each
 * path that has it there. */
static const u32 only = 0;

INLINE struct config *cfg(void)
{
	return map_lookup(&config, &only);
}

INLINE struct flags *flag(void)
{
	return map_lookup(&flags, &only);
}

INLINE u32 uid_now(void) { return (u32)get_current_uid_gid(); }

INLINE int keep(void *map, const void *key, const void *value)
{
	if (!map_update(map, key, value, BPF_ANY))
		return 1;
	struct flags *f = flag();
	if (f) {
		f->lossy = 1;
		f->fulls++;
	}
	return 0;
}

/* A load enters the stack before it sets the flag, so that looking again after
 * clearing it misses none. */
INLINE void load_began(void)
{
	u32 one = 1;
	struct flags *f = flag();
	if (!f)
		return;
	map_push(&inflight, &one, BPF_ANY);
	f->active = 1;
}

/* Lets the hot hooks return at once while nothing is being loaded. What was not
 * recorded while a map was full has ended with the last load. */
INLINE void load_over(void)
{
	u32 one;
	struct flags *f = flag();
	if (map_pop(&inflight, &one) || !map_peek(&inflight, &one) || !f)
		return;
	u32 lossy = f->lossy;
	f->rests++;
	f->active = f->works = f->lossy = f->spawns = 0;
	if (map_peek(&inflight, &one))
		return;
	f->lossy = lossy; /* perhaps of the one that has begun */
	f->active = 1;
	f->rests++;
}

/* The event under construction, if anybody reads it. One per CPU: programs do
 * not preempt each other there. */
INLINE struct event *event_new(u32 kind, u64 id, u64 peer)
{
	u64 now = ktime_get_boot_ns();
	struct config *k = cfg();
	if (!k || k->reads_until < now)
		return 0;
	struct event *e = map_lookup(&scratch, &only);
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->at = now;
	e->kind = kind;
	e->id = id;
	e->peer = peer;
	e->tid = tid_now();
	e->tgid = tgid_now();
	e->cgroup = get_current_cgroup_id();
	get_current_comm(e->comm, sizeof(e->comm));
	return e;
}

/* The whole record at once: 6.1 refuses a reserve that other helper calls
 * follow before the submit. */
INLINE void event_send(struct event *e)
{
	if (ringbuf_output(&events, e, sizeof(*e), 0)) {
		u64 *n = map_lookup(&lost, &only);
		if (n)
			(*n)++;
	}
}

#endif
