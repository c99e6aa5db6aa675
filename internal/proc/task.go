// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Task flags of include/linux/sched.h, as field 9 of /proc/PID/stat shows them.
const (
	flagExiting = 0x4      // PF_EXITING
	flagWorker  = 0x20     // PF_WQ_WORKER
	flagKthread = 0x200000 // PF_KTHREAD
)

// Stat is what /proc/PID/task/TID/stat says of a thread.
type Stat struct {
	TID     int
	PPID    int
	State   byte // R, S, D, T, t, Z, X, I
	Flags   uint32
	Threads int    // of the process
	Start   uint64 // clock ticks (1/100 s) since boot, of the thread
	Comm    string // chosen by the task itself: for display only
	Held    bool   // it could not be asked, and is said to run; Start is not known
}

// heldStart is the Start of who could not be asked: younger than anybody.
const heldStart = 1 << 36

// Kthread tells whether the thread has no user space.
func (s *Stat) Kthread() bool { return s.Flags&flagKthread != 0 }

// Worker tells whether the thread is a workqueue worker of the kernel. Only
// the kernel sets that flag; the name kworker/… anyone can take.
func (s *Stat) Worker() bool { return s.Flags&(flagWorker|flagKthread) == flagWorker|flagKthread }

// Asleep tells whether the thread waits for something.
func (s *Stat) Asleep() bool { return s.State == 'S' || s.State == 'D' }

// Exiting tells whether the thread is on its way out, and does nothing else any
// more (do_exit in kernel/exit.c).
func (s *Stat) Exiting() bool { return s.Flags&flagExiting != 0 }

// Gone tells whether the thread has ended and waits only to be reaped.
func (s *Stat) Gone() bool { return s.State == 'Z' || s.State == 'X' || s.State == 'x' }

// Stat reads a thread; for pid's first thread tid is pid. ENOENT or ESRCH:
// there is none.
func (f *FS) Stat(pid, tid int) (Stat, error) { return f.statOf(pid, tid, taskPath(pid, tid, "stat")) }

// statOf is stat for a thread that may be held. For a held thread it returns the
// outline alone, marked as one that may move.
func (f *FS) statOf(pid, tid int, path string) (Stat, error) {
	if !f.enter(pid) {
		o, err := f.Outline(pid, tid)
		if err != nil {
			return Stat{}, err
		}
		if !o.Gone() {
			o.State = 'R'
		}
		o.Start, o.Held = heldStart, true
		return o.Stat, nil
	}
	defer f.leave()
	return f.stat(path)
}

func (f *FS) stat(path string) (Stat, error) {
	b, err := f.readShort(path, f.hand != nil)
	if err != nil {
		return Stat{}, err
	}
	s, ok := parseStat(b)
	if !ok {
		return Stat{}, unix.EIO
	}
	return s, nil
}

// Self is this process's number in the procfs, which need not be that of its
// own pid namespace; 0 when it is not in there.
func (f *FS) Self() int {
	var b [16]byte
	n, err := unix.Readlinkat(f.fd, "self", b[:])
	if err != nil {
		return 0
	}
	pid, _ := Uint(b[:n])
	return int(pid)
}

// ProcessStat reads /proc/PID/stat, whose start time is the process's.
func (f *FS) ProcessStat(pid int) (Stat, error) {
	return f.statOf(pid, pid, Itoa(pid)+"/stat")
}

// initialPIDs is the inode of the initial pid namespace (PROC_PID_INIT_INO,
// include/linux/proc_ns.h).
const initialPIDs = 0xEFFFFFFC

// initialUsers is that of the initial user namespace, PROC_USER_INIT_INO.
const initialUsers = 0xEFFFFFFD

// Outermost tells whether this process is certain to see all others by their
// own numbers: it is in the initial pid namespace.
func (f *FS) Outermost() bool { return f.ours("pid", initialPIDs) }

// Initial tells whether this process is certain to be in the initial user
// namespace: no other may load modules.
func (f *FS) Initial() bool { return f.ours("user", initialUsers) }

func (f *FS) ours(space string, initial uint64) bool {
	var st unix.Stat_t
	err := unix.Fstatat(f.fd, "self/ns/"+space, &st, 0)
	return err == nil && uint64(st.Ino) == initial || err == unix.ENOENT // the kernel has none
}

// Nested tells whether this process is in another pid namespace than the
// machine's first one, as in a container. False where the kernel has none.
func (f *FS) Nested() bool {
	var st unix.Stat_t
	return unix.Fstatat(f.fd, "self/ns/pid", &st, 0) == nil && uint64(st.Ino) != initialPIDs
}

func taskPath(pid, tid int, name string) string {
	return Itoa(pid) + "/task/" + Itoa(tid) + "/" + name
}

// ownPath is taskPath for what a process's own directory says of its first
// thread alone, as fs/proc/base.c has it: not stat, which is of all threads
// there. It spares the kernel two inodes.
func ownPath(pid, tid int, name string) string {
	if tid == pid {
		return Itoa(pid) + "/" + name
	}
	return taskPath(pid, tid, name)
}

// parseStat finds the fields from the last ')' on: comm may hold anything.
func parseStat(b []byte) (s Stat, ok bool) {
	open := bytes.IndexByte(b, '(')
	end := bytes.LastIndexByte(b, ')')
	if open < 2 || end < open || end+2 >= len(b) {
		return s, false
	}
	pid, ok := Uint(b[:open-1])
	if !ok {
		return s, false
	}
	s.TID = int(pid)
	s.Comm = string(b[open+1 : end])
	rest := bytes.TrimRight(b[end+2:], "\n")
	var word []byte
	for n := 3; n <= 22; n++ { // proc(5) counts from 1
		word, rest = field(rest)
		if n == 3 {
			if len(word) != 1 {
				return s, false
			}
			s.State = word[0]
			continue
		}
		if n != 4 && n != 9 && n != 20 && n != 22 {
			continue
		}
		v, ok := Uint(word)
		if !ok {
			return s, false
		}
		switch n {
		case 4:
			s.PPID = int(v)
		case 9:
			s.Flags = uint32(v)
		case 20:
			s.Threads = int(v)
		case 22:
			s.Start = v
		}
	}
	return s, true
}

// Wchan is the kernel function that the thread sleeps in: empty when it does
// not sleep or the kernel does not say (no CONFIG_KALLSYMS, no permission).
func (f *FS) Wchan(pid, tid int) string {
	b, err := f.readOf(pid, ownPath(pid, tid, "wchan"))
	if err != nil || len(b) > 256 || string(b) == "0" {
		return ""
	}
	return string(b)
}

// link reads a symbolic link, a short one; empty when it cannot.
func (f *FS) link(path string) string {
	var b [64]byte
	n, err := unix.Readlinkat(f.fd, path, b[:])
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// Switches counts how often the thread has left the processor, both of its own
// will and not. A thread with the same count at two moments has not run
// between them, but for the time on the processor before the first.
func (f *FS) Switches(pid, tid int) (uint64, bool) {
	b, err := f.Read(ownPath(pid, tid, "status"))
	if err != nil {
		return 0, false
	}
	return parseSwitches(b)
}

func parseSwitches(b []byte) (uint64, bool) {
	var sum uint64
	found := false
	for len(b) > 0 {
		var line []byte
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			line, b = b, nil
		}
		i := bytes.Index(line, []byte("voluntary_ctxt_switches:"))
		if i != 0 && !(i == 3 && bytes.HasPrefix(line, []byte("non"))) {
			continue
		}
		v, ok := Uint(bytes.TrimSpace(line[bytes.IndexByte(line, ':')+1:]))
		if !ok {
			return 0, false
		}
		sum += v
		found = true
	}
	return sum, found
}

// ThreadState is the state of a thread, 0 if it cannot be read. Unlike Stat it
// waits for nobody: status takes no lock that an execve(2) holds.
func (f *FS) ThreadState(pid, tid int) byte {
	b, err := f.Read(taskPath(pid, tid, "status"))
	if err != nil {
		return 0
	}
	return parseThreadState(b)
}

func parseThreadState(status []byte) (state byte) {
	Lines(status, func(line []byte) bool {
		rest, found := bytes.CutPrefix(line, []byte("State:"))
		if !found {
			return true
		}
		if rest = bytes.TrimLeft(rest, " \t"); len(rest) > 0 {
			state = rest[0]
		}
		return false
	})
	return state
}

// Slept is when the thread last ran, in nanoseconds of the scheduler's clock,
// from se.exec_start in /proc/PID/task/TID/sched (CONFIG_SCHED_DEBUG). The
// clock is per processor and loses interrupt time: good for an order between
// tasks that is likely, never for one that is certain. false: the kernel does not
// say, or no longer. It forgets the time, and has 0 there, of a task that it moves
// to another processor (enqueue_entity in kernel/sched/fair.c, migrate_task_rq_fair
// before 6.3), and since 6.12 it moves some that sleep: these stay in the queue
// for a while (DELAY_DEQUEUE).
func (f *FS) Slept(pid, tid int) (uint64, bool) {
	b, err := f.Read(ownPath(pid, tid, "sched"))
	if err != nil {
		return 0, false
	}
	return parseExecStart(b)
}

func parseExecStart(b []byte) (uint64, bool) {
	key := []byte("se.exec_start")
	i := bytes.Index(b, key)
	if i < 0 {
		return 0, false
	}
	b = b[i+len(key):]
	if i = bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	if i = bytes.IndexByte(b, ':'); i < 0 {
		return 0, false
	}
	b = bytes.TrimSpace(b[i+1:])
	ms, frac := b, []byte(nil)
	if i = bytes.IndexByte(b, '.'); i >= 0 {
		ms, frac = b[:i], b[i+1:]
	}
	v, ok := Uint(ms)
	if !ok || v > 1<<43 {
		return 0, false
	}
	v *= 1e6
	if len(frac) == 6 {
		if n, ok := Uint(frac); ok {
			v += n
		}
	}
	return v, v != 0
}

// Stack is the thread's kernel stack, a function a line; empty where the
// kernel does not tell (32-bit ARM never does).
func (f *FS) Stack(pid, tid int) string {
	if !f.enter(pid) {
		return ""
	}
	defer f.leave()
	b, err := f.Read(ownPath(pid, tid, "stack"))
	if err != nil {
		return ""
	}
	return string(b)
}

// Cmdline is the process's argument vector, NUL-separated: its own words. They
// stand in its memory, which may be mapped from a file system that never answers.
func (f *FS) Cmdline(pid int) []byte {
	if !f.enter(pid) {
		return nil
	}
	defer f.leave()
	b, _ := f.Read(Itoa(pid) + "/cmdline")
	return b
}

// PIDs calls yield for every process until it returns false.
func (f *FS) PIDs(yield func(pid int) bool) error { return f.dirNumbers(".", yield) }

// Threads calls yield for every thread of a process.
func (f *FS) Threads(pid int, yield func(tid int) bool) error {
	return f.dirNumbers(Itoa(pid)+"/task", yield)
}
