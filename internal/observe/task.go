// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// Task is a thread that matters: one that loads, requests or waits for a child,
// and the first thread of every process.
type Task struct {
	proc.Stat
	PID          int
	ProcessStart uint64 // of the process
	Kind         proc.Kind
	Call         proc.Call
	Wchan        string

	Module string // it is inside the system call for this one
	File   proc.File
	Waiter bool // not the one whose init runs

	guessed bool // module is the name of a file that could not be read

	unasked bool // may not load, so its call was not asked for
	brief   bool // its Start is not known: nor was that

	switches uint64 // read for those that may poll
	slept    int64  // of these, when the sleep was first seen; ns of boot time
}

// Requester: waits in request_module for the helper it asked for.
func (t *Task) Requester() bool { return t.State == 'D' && isRequest(t.Wchan) }

// Throttled: in the semaphore of __request_module (kernel/module/kmod.c).
func (t *Task) Throttled() bool { return t.State == 'D' && base(t.Wchan) == "__request_module" }

// Duplicate: asks for a name that somebody has asked for already, and is given
// that one's answer, without a helper of its own (kmod_dup_request_exists_wait in
// kernel/module/dups.c, CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS, since 6.4).
func (t *Task) Duplicate() bool {
	return t.State == 'D' && base(t.Wchan) == "kmod_dup_request_exists_wait"
}

// Process tells whether it is the first thread, which stands for the process.
func (t *Task) Process() bool { return t.TID == t.PID }

// Thread is the task's name in the registry; of no task that of no thread.
func (t *Task) Thread() registry.Thread {
	if t == nil {
		return registry.Thread{}
	}
	return registry.Thread{TID: t.TID, Start: t.Start}
}
