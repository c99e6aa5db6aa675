// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Much of what /proc tells of a task is read under that task's
// exec_update_lock: syscall, stack, auxv, mem, and since stable kernels of 6.12
// also stat, wchan and ns/*. execve(2) holds it while it closes what is to be
// closed, and a file of a FUSE server of one's own can put that off for ever. A
// file that is open as somebody's descriptor may be on a server that is dead.
// The waits for both end only with the process that waits.
//
// So such reads are made by a thread that can be left behind, in [FS.Bounded],
// and none is made of a task that a thread was left behind at. "status",
// "sched", "comm" and "cgroup" take no such lock and are read at once.

// ErrHeld: what was to be read could not be, within the time for it, or was not
// asked for since the same went before.
var ErrHeld error = heldError{}

type heldError struct{}

func (heldError) Error() string { return "the task is held, and was not waited for" }

const (
	tick = 25 * time.Millisecond

	// A read that sleeps through so many ticks is left behind.
	ticksOne = 4
	// A look in which reads sleep through so many asks for nothing more.
	ticksAll = 40

	// So many threads are left behind at tasks that any user may have, and at
	// those of root's, before no other of that sort is asked: a user has as many
	// tasks as he likes, and they must not keep root's from being seen.
	leftOthers = 3
	leftRoots  = 6

	// A look takes a thread that is locked, and one for the others meanwhile; the
	// first one also that from which the runtime makes these (startTemplateThread).
	threadsLater = 2
	threadsFirst = 3
)

// sort is who can hold a task.
type sort uint8

const (
	ofKernel sort = iota // it never calls execve(2): nobody
	ofRoot
	ofOthers
)

// holds is what all looks through one FS know of who is held.
type holds struct {
	looked bool // threads were made for one, of which the runtime keeps one

	mu   sync.Mutex
	at   map[int]int // by process: the threads left behind at it
	left [ofOthers + 1]int
}

// hand is the thread that reads, for the time of one look. Its fields are
// guarded by the mutex of holds.
type hand struct {
	*holds
	tid   int    // 0: not known
	pid   int    // of the task that is asked; 0: none
	sort  sort   // of that task
	asked uint32 // how often one was
	left  bool   // it has been left behind, and ends at its next step
	tired bool   // nothing more is asked, but of the kernel's

	over  uint32 // atomic: 1 once look has returned, which fault tells the end of
	fault any
}

// end says that look has returned, and wakes who waits for that.
func (h *hand) end(fault any) {
	h.fault = fault
	atomic.StoreUint32(&h.over, 1)
	_, _, _ = syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&h.over)), futexWakePrivate, 1, 0, 0, 0)
}

// rest waits for the end of look, a tick at most. It tells whether that is over.
//
// It is a futex(2) and no timer of Go's: with the first of these the runtime makes
// two descriptors, and ends the process where there are too few for them.
func (h *hand) rest() (ticked bool) {
	ts := unix.NsecToTimespec(int64(tick))
	_, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&h.over)), futexWaitPrivate, 0,
		uintptr(unsafe.Pointer(&ts)), 0, 0)
	return errno == unix.ETIMEDOUT
}

// Operations of futex(2), with FUTEX_PRIVATE_FLAG.
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

// Bounded runs look, which is given an FS to read with that is valid until look
// returns, so that nobody can hold it up for ever. Where a read is given up look
// is begun anew, and finds the task held: what it has done so far must not count,
// and it goes no further. look runs in another goroutine; a panic in it is
// raised in the caller's.
//
// Where no more threads can be had (pids.max of a cgroup, kernel.threads-max), look
// runs in the caller's, and asks nothing that may have to be waited for but of the
// kernel's tasks: Go ends a process for which it cannot make a thread. Where only
// the trial is refused, as by qemu-user and some sandboxes, look has its thread.
func (f *FS) Bounded(look func(p *FS)) {
	if f.hand != nil {
		look(f)
		return
	}
	if f.holds == nil {
		f.holds = &holds{at: make(map[int]int)}
	}
	need := uintptr(threadsFirst)
	if f.holds.looked {
		need = threadsLater
	}
	if noThreads(makeThreads(need)) {
		look(&FS{fd: f.fd, userns: f.userns, hand: &hand{holds: f.holds, tired: true}})
		return
	}
	f.holds.looked = true
	asleep := 0
	for again := 0; ; again++ {
		h := &hand{holds: f.holds, tired: again > leftOthers+leftRoots || asleep >= ticksAll}
		if f.tend(h, look, &asleep) {
			return
		}
	}
}

// noThreads tells whether an errno of makeThreads means that there are no more
// threads to be had: clone(2) has EAGAIN for each of the limits (RLIMIT_NPROC,
// threads-max, pid_max, pids.max) and ENOMEM. Any other refuses these flags, of
// which CLONE_VFORK is not Go's; Go has made threads with its own before main.
func noThreads(errno uintptr) bool {
	return errno == uintptr(unix.EAGAIN) || errno == uintptr(unix.ENOMEM)
}

// tend runs one hand, to its end or until it is left behind.
func (f *FS) tend(h *hand, look func(p *FS), asleep *int) bool {
	go func() {
		// Locked to its thread, so that it can be seen whether that sleeps.
		runtime.LockOSThread()
		p := &FS{fd: f.fd, userns: f.userns, hand: h}
		defer func() {
			fault := recover()
			h.mu.Lock()
			left := h.left
			h.mu.Unlock()
			if !left { // or nobody waits
				h.end(fault)
			}
		}()
		tid := p.thread()
		h.mu.Lock()
		h.tid = tid
		h.mu.Unlock()
		look(p)
	}()
	// With one processor for Go, look has it from here on, and often returns before
	// this goes on: a wait in the kernel would keep it until the runtime notices.
	runtime.Gosched()
	var was, is struct {
		asked    uint32
		switches uint64
	}
	still := 0
	for {
		if atomic.LoadUint32(&h.over) != 0 {
			if h.fault != nil {
				panic(h.fault)
			}
			return true
		}
		if !h.rest() {
			continue
		}
		h.mu.Lock()
		asking, tid := h.pid != 0, h.tid
		is.asked = h.asked
		h.mu.Unlock()
		if !asking {
			still = 0
			continue
		}
		var sleeps bool
		if sleeps, is.switches = f.sleeps(tid); !sleeps {
			still = 0 // only waits for a processor, or has much to do
			continue
		}
		*asleep++
		if still++; is != was {
			still, was = 1, is
		}
		if still >= ticksOne || *asleep >= ticksAll {
			if h.leave(is.asked, *asleep >= ticksAll) {
				return false
			}
			still = 0
		}
	}
}

// leave leaves the hand behind, unless it has gone on meanwhile.
func (h *hand) leave(asked uint32, tired bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tired = h.tired || tired
	if h.pid == 0 || h.asked != asked {
		return false
	}
	h.left = true
	h.at[h.pid]++
	h.holds.left[h.sort]++
	return true
}

// thread is the number of the calling thread in this procfs; 0: not known.
func (f *FS) thread() int {
	link := []byte(f.link("thread-self"))
	for i := len(link) - 1; i >= 0; i-- {
		if link[i] == '/' {
			tid, _ := Uint(link[i+1:])
			return int(tid)
		}
	}
	return 0
}

// sleeps tells whether a thread of ours sleeps, and how often it has.
func (f *FS) sleeps(tid int) (bool, uint64) {
	if tid == 0 {
		return true, 0
	}
	b, err := f.readShort("self/task/"+Itoa(tid)+"/status", false)
	if err != nil {
		return true, 0
	}
	n, _ := parseSwitches(b)
	o, ok := parseOutline(b)
	return !ok || o.Asleep(), n
}

// GivenUp is how often, by now, something was not asked for: what seems not to be
// there between two calls with different answers may be.
func (f *FS) GivenUp() int { return f.given }

// enter is called before anything is read of a process that may have to be
// waited for. false: it is not to be asked.
func (f *FS) enter(pid int) bool {
	ok := f.may(pid)
	if !ok {
		f.given++
	}
	return ok
}

func (f *FS) may(pid int) bool {
	h := f.hand
	if h == nil {
		return true
	}
	if f.near.pid != pid {
		if _, err := f.Outline(pid, pid); err != nil {
			return true // it is gone, and the read will say so
		}
	}
	if f.near.executes {
		return false
	}
	sort := f.near.sort
	h.mu.Lock()
	defer h.mu.Unlock()
	most := [...]int{ofRoot: leftRoots, ofOthers: leftOthers}
	if h.at[pid] > 0 || sort != ofKernel && (h.tired || h.holds.left[sort] >= most[sort]) {
		return false
	}
	h.pid, h.sort = pid, sort
	h.asked++
	return true
}

// leave is called after what enter was called for. A thread that has been left
// behind ends here: the FS may be closed by now. So there is at most one call
// between the two that uses it.
func (f *FS) leave() {
	h := f.hand
	if h == nil {
		return
	}
	h.mu.Lock()
	pid := h.pid
	h.pid = 0
	if h.left {
		if h.at[pid]--; h.at[pid] <= 0 {
			delete(h.at, pid)
		}
		h.holds.left[h.sort]--
		h.mu.Unlock()
		runtime.Goexit()
	}
	h.mu.Unlock()
}

// Ask runs what may have to wait for what a process has: its files, its memory.
// ask must use nothing of the FS. false: it did not run.
func (f *FS) Ask(pid int, ask func()) bool {
	if !f.enter(pid) {
		return false
	}
	ask()
	f.leave()
	return true
}

// BoundedStat is [FS.ProcessStat], for which nobody makes us wait.
func (f *FS) BoundedStat(pid int) (st Stat, err error) {
	f.Bounded(func(f *FS) { st, err = f.ProcessStat(pid) })
	return st, err
}
