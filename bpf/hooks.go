// SPDX-License-Identifier: Apache-2.0

package bpf

// where a hook sits in the kernel.
type where int

const (
	tracepoint where = iota
	kprobe
	kretprobe
)

// hook binds a program to the places where it runs.
type hook struct {
	prog    string
	at      where
	group   string   // of a tracepoint
	symbols []string // kprobes: the first that exists, or each (all); else the tracepoint's event
	all     bool
	need    need
	without string            // what is not seen without it
	offsets map[string]string // variables, and the fields of a tracepoint that they are to have the offsets of
	flags   map[string]string // the same, of flags whose values its format file has
}

type need int

const (
	optional need = iota
	required
)

// completions are the waits in which an init may sleep for what its threads
// and work items do (kernel/sched/completion.c). flush_work, flush_workqueue
// and kthread_stop sleep in the first.
var completions = []string{"wait_for_completion_killable", "wait_for_completion_timeout",
	"wait_for_completion_killable_timeout", "wait_for_completion_interruptible_timeout"}

var kthreadCreate = []string{"__kthread_create_on_node", "kthread_create_on_node"}

// A kernel before 6.5 has no wait by inode. It has no fromFile, and nothing
// comes of its readFile.
const fromFile, readFile = "init_module_from_file", "kernel_read_file"

// OwnFile are the functions at whose entry, the first time in a finit_module,
// a load comes to own its file, and has its struct file as first argument.
func OwnFile() []string {
	if !waitsByFile() {
		return []string{fromFile}
	}
	return []string{fromFile, readFile}
}

var hooks = []hook{
	{prog: probeProgEnterFinit, group: "syscalls", symbols: []string{"sys_enter_finit_module"}, need: required,
		offsets: map[string]string{probeVarOffFinitFd: "fd"}},
	{prog: probeProgExitFinit, group: "syscalls", symbols: []string{"sys_exit_finit_module"}, need: required,
		offsets: map[string]string{probeVarOffExitRet: "ret"}},
	{prog: probeProgEnterInit, group: "syscalls", symbols: []string{"sys_enter_init_module"}, need: required},
	{prog: probeProgExitInit, group: "syscalls", symbols: []string{"sys_exit_init_module"}, need: required},
	{prog: probeProgModuleLoad, group: "module", symbols: []string{"module_load"}, need: required,
		offsets: map[string]string{probeVarOffLoadName: "name"}},
	{prog: probeProgModuleRequest, group: "module", symbols: []string{"module_request"},
		offsets: map[string]string{probeVarOffRequestName: "name"}, without: "names of requests"},
	{prog: probeProgTaskFork, group: "sched", symbols: []string{"sched_process_fork"}, need: required,
		offsets: map[string]string{probeVarOffForkParent: "parent_pid", probeVarOffForkChild: "child_pid"}},
	{prog: probeProgTaskExec, group: "sched", symbols: []string{"sched_process_exec"}, need: required,
		offsets: map[string]string{probeVarOffExecPid: "pid", probeVarOffExecOld: "old_pid"}},
	{prog: probeProgTaskExit, group: "sched", symbols: []string{"sched_process_exit"}, need: required},

	{prog: probeProgRequestBegin, at: kprobe, symbols: []string{"call_usermodehelper_exec"}, need: required},
	{prog: probeProgRequestOver, at: kretprobe, symbols: []string{"call_usermodehelper_exec"},
		without: "requesters that were killed, or got no child"},
	{prog: probeProgRequestChild, at: kprobe, symbols: []string{"call_usermodehelper_exec_async"}, need: required},

	// The second is what the first, where the compiler inlined it, begins with.
	{prog: probeProgOwnFile, at: kprobe, symbols: []string{fromFile, readFile}, without: "waits for the same file"},
	{prog: probeProgLoadRead, at: kprobe, symbols: []string{"load_module"}, without: "a load by init_module before it has its name"},
	{prog: probeProgWaitName, at: kprobe, symbols: []string{"finished_loading"}, need: required},
	{prog: probeProgWaitSoft, at: kprobe, symbols: []string{"wait_for_completion_interruptible"}, need: required},
	{prog: probeProgWaitHard, at: kprobe, symbols: []string{"wait_for_completion"}, without: "waits that no signal ends"},
	{prog: probeProgWaitOther, at: kprobe, symbols: completions, all: true, without: "inits asleep in these"},
	{prog: probeProgWaitOver, at: kretprobe, all: true,
		symbols: append([]string{"wait_for_completion", "wait_for_completion_interruptible"}, completions...),
		without: "inits that woke"},

	// Both: the first may be inlined into the second and exist beside it (armmp 6.12).
	{prog: probeProgKthreadAsked, at: kprobe, symbols: kthreadCreate, all: true,
		without: "requests by kernel threads of an init"},
	{prog: probeProgKthreadCreated, at: kretprobe, symbols: kthreadCreate, all: true,
		without: "requests by kernel threads of an init"},
	// Says the same without the return, which may not be reported.
	{prog: probeProgKthreadBegan, at: kprobe, symbols: []string{"kthread"},
		without: "for whose init a kernel thread is, where the kernel does not report a return"},
	{prog: probeProgWorkQueued, group: "workqueue", symbols: []string{"workqueue_queue_work"},
		offsets: map[string]string{probeVarOffQueueWork: "work"}, without: "requests by work items of an init"},
	{prog: probeProgWorkStarted, group: "workqueue", symbols: []string{"workqueue_execute_start"},
		offsets: map[string]string{probeVarOffStartWork: "work"}, without: "requests by work items of an init"},
	{prog: probeProgWorkEnded, group: "workqueue", symbols: []string{"workqueue_execute_end"},
		without: "requests by work items of an init"},
	{prog: probeProgWorkDelayed, at: kprobe, symbols: []string{"queue_delayed_work_on", "mod_delayed_work_on"}, all: true,
		without: "requests by delayed work of an init"},

	{prog: probeProgLockWait, group: "lock", symbols: []string{"contention_begin"}, without: withoutLocks,
		offsets: map[string]string{probeVarOffLockAddr: "lock_addr", probeVarOffLockFlags: "flags"},
		flags:   map[string]string{probeVarLockMutex: "MUTEX", probeVarLockRead: "READ", probeVarLockWrite: "WRITE"}},
	{prog: probeProgLockOver, group: "lock", symbols: []string{"contention_end"}, without: withoutLocks,
		offsets: map[string]string{probeVarOffGotAddr: "lock_addr"}},
}

const withoutLocks = "that a load waits for a lock, at the moment"

// spawnHooks see what an init starts: all of them, or it is not known that an
// init has not started something.
var spawnHooks = []string{probeProgKthreadAsked, probeProgKthreadCreated, probeProgWorkQueued, probeProgWorkStarted, probeProgWorkEnded, probeProgWorkDelayed}

// openHooks act before a wait that no signal ends. They run at every open, so
// they are only loaded on a kernel that was seen to have such waits. The first
// serves without the second, if less surely.
var openHooks = []hook{
	{prog: probeProgOpenFile, at: kprobe, symbols: []string{"security_file_open"}, need: required,
		without: "the open before a wait that no signal ends"},
	{prog: probeProgOpenOver, group: "syscalls", symbols: []string{"sys_exit_openat", "sys_exit_open", "sys_exit_openat2"}, all: true,
		without: "the end of an open before a wait that no signal ends"},
}
