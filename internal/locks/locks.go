// SPDX-License-Identifier: Apache-2.0

// Package locks tells from the kernel's memory which lock a thread waits for and
// who holds it, without knowing the kernel's structures beforehand.
//
// Who waits for a mutex or a rw_semaphore has put an entry with its own
// task_struct into the lock's list, and that entry is on its own stack
// (struct mutex_waiter, struct rwsem_waiter: list, task). So three words on a
// thread's stack, of which the third is the thread and whose neighbours in the list
// point back at them, are its place in a queue, for as long as it waits: whoever
// leaves is taken out of the list before its stack is used for something else. The
// one member of the list that is on nobody's stack is in the lock, and a few words
// before it is the owner.
//
// How many words, and where a task_struct has its stack, is learned from two threads
// of our own, of which one waits for a lock that the other holds ([Learn]). Where
// that does not come out as expected nothing is believed of anybody.
package locks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
)

// Memory is the kernel's.
type Memory interface {
	// Stack returns where the kernel keeps the calling thread, and an address on
	// its kernel stack.
	Stack() (sp, task uint64, err error)
	Read(addr uint64, b []byte) error
	// IsTask tells whether addr is the task_struct of some thread. What only looks
	// like one may be a device's registers, and to read those can stop the machine.
	IsTask(addr uint64) bool
}

// Kind is a sort of lock.
type Kind uint8

// The sorts of locks.
const (
	Unknown Kind = iota // there is a queue, and a holder
	Mutex
	Write // a rw_semaphore that a writer holds
	Read  // a rw_semaphore that readers hold; the holder is the last of those who took it
)

func (k Kind) String() string {
	switch k {
	case Mutex:
		return "mutex"
	case Write, Read:
		return "rw_semaphore"
	}
	return "lock"
}

// Certain tells whether it is the holder that a lock of this kind names, not only
// somebody who has held it.
func (k Kind) Certain() bool { return k == Mutex || k == Write }

// Lock is one that a thread waits for.
type Lock struct {
	Addr uint64 // of its list of waiters
	// Task is the holder. For Read it is likely: who has given the lock back
	// may stand there as well.
	Task uint64
	Kind Kind
}

// Reader finds locks. It is made by [Learn].
type Reader struct {
	mem   Memory
	code  Code
	word  int
	stack int    // offset of the stack in a task_struct
	size  uint64 // of a stack, at most
	owner int    // how many words before the list of waiters a lock has its owner
	// Each frame begins with the address of its caller's, and then that to return to.
	frames bool
}

// Code tells functions from their addresses.
type Code interface {
	// Waiting returns what a thread waits for whose code is at addr: Mutex, or Read
	// for a rw_semaphore; Unknown for all other code.
	Waiting(addr uint64) Kind
}

const (
	pageSize = 4096
	// A task_struct begins with thread_info and the stack comes soon after it.
	// On 32-bit ARM the floating point registers are in between.
	taskHead   = 2048
	ownerMost  = 8    // words between owner and list; more are debugging data
	queueMost  = 1024 // waiters of one lock
	lowestBits = 7    // flags in an owner (MUTEX_FLAGS, RWSEM_OWNER_FLAGS_MASK)
	// Words from what may be left of a call before, beside the entry of a queue, down
	// to where the call of schedule() returns to: the frame of one function.
	frameRest = 24
	// RWSEM_READER_OWNED of a rw_semaphore.
	readersBit = 1
)

func newReader(mem Memory, code Code, word int) *Reader {
	size := uint64(32 << 10) // THREAD_SIZE with KASAN, which doubles it
	if word == 4 {
		size = 16 << 10
	}
	return &Reader{mem: mem, code: code, word: word, size: size, frames: runtime.GOARCH == "arm64"}
}

func (r *Reader) words(addr uint64, n int) ([]uint64, error) {
	b := make([]byte, n*r.word)
	if err := r.mem.Read(addr, b); err != nil {
		return nil, err
	}
	w := make([]uint64, n)
	for i := range w {
		if r.word == 4 {
			w[i] = uint64(binary.NativeEndian.Uint32(b[i*4:]))
		} else {
			w[i] = binary.NativeEndian.Uint64(b[i*8:])
		}
	}
	return w, nil
}

func (r *Reader) at(addr uint64) uint64 {
	w, err := r.words(addr, 1)
	if err != nil {
		return 0
	}
	return w[0]
}

// kernel tells whether a word can point at kernel data.
func (r *Reader) kernel(w uint64) bool {
	if w%uint64(r.word) != 0 {
		return false
	}
	if r.word == 4 {
		return w >= 0x40000000 // CONFIG_VMSPLIT_1G, the lowest
	}
	return w>>56 == 0xff // amd64 with five levels of page tables has 57 bits
}

// findStack finds where a task_struct has its stack, from an address on it.
func (r *Reader) findStack(task, sp uint64) error {
	head, err := r.words(task, taskHead/r.word)
	if err != nil {
		return fmt.Errorf("read a task_struct: %w", err)
	}
	for i, w := range head {
		if w%pageSize == 0 && r.kernel(w) && w <= sp && sp-w < r.size {
			r.stack = i * r.word
			return nil
		}
	}
	return errors.New("a task_struct does not have its stack where it was looked for")
}

// stackOf returns a thread's stack, as far as it can be read, and where it begins.
func (r *Reader) stackOf(task uint64) (uint64, []uint64) {
	const piece = 2048
	base := r.at(task + uint64(r.stack))
	if base == 0 || base%pageSize != 0 || !r.kernel(base) {
		return 0, nil
	}
	var all []uint64
	for off := uint64(0); off < r.size; off += piece {
		w, err := r.words(base+off, piece/r.word)
		if err != nil {
			break // the guard page above
		}
		all = append(all, w...)
	}
	return base, all
}

// place is where a thread stands in a queue.
type place struct {
	head  uint64 // of the queue, in the lock
	index int    // of the entry, on the stack
	kind  Kind   // what the code below it says
}

// find returns the queue that a thread stands in.
func (r *Reader) find(task uint64) (place, bool) {
	base, stack := r.stackOf(task)
	w := uint64(r.word)
	for i := 0; i+2 < len(stack); i++ {
		if stack[i+2] != task || !r.kernel(stack[i]) || !r.kernel(stack[i+1]) {
			continue
		}
		// Below the entry of a queue is the lock's code. What else stands beside a
		// saved pointer to the thread may point at anything: it is not followed.
		kind, ok := r.waiting(stack[:i])
		if !ok {
			continue
		}
		if kind == Unknown && r.frames {
			kind = r.framed(base, stack, i)
		}
		self := base + uint64(i)*w
		if stack[i] == self || r.at(stack[i]+w) != self || r.at(stack[i+1]) != self {
			continue
		}
		if head, ok := r.head(self); ok {
			return place{head, i, kind}, true
		}
	}
	return place{}, false
}

// head follows a queue to the member that is on nobody's stack.
func (r *Reader) head(self uint64) (uint64, bool) {
	w := uint64(r.word)
	for node, n := r.at(self), 0; node != self && n < queueMost; n++ {
		if !r.kernel(node) {
			return 0, false
		}
		task := r.at(node + 2*w)
		if base := r.taskStack(task); base == 0 || node < base || node-base >= r.size {
			return node, true
		}
		node = r.at(node)
	}
	return 0, false
}

// taskStack returns where the stack of what may be a task begins.
func (r *Reader) taskStack(task uint64) uint64 {
	if !r.kernel(task) || !r.mem.IsTask(task) {
		return 0
	}
	base := r.at(task + uint64(r.stack))
	if base%pageSize != 0 || !r.kernel(base) {
		return 0
	}
	return base
}

// Of returns the lock that a thread waits for, if it waits for one.
func (r *Reader) Of(task uint64) (Lock, bool) {
	p, ok := r.find(task)
	if !ok {
		return Lock{}, false
	}
	owner := r.at(p.head - uint64(r.owner*r.word))
	l := Lock{Addr: p.head, Task: owner &^ lowestBits}
	if l.Task == task || r.taskStack(l.Task) == 0 {
		return Lock{}, false // given back at this moment, or no lock that has an owner
	}
	switch kind := p.kind; {
	case kind == Mutex:
		l.Kind = Mutex
	case kind == Read && owner&readersBit == 0: // RWSEM_READER_OWNED is not set
		l.Kind = Write
	case kind == Read:
		l.Kind = Read
	}
	// It must still stand there: what was read in between belongs together.
	if again, ok := r.find(task); !ok || again.head != p.head || again.index != p.index {
		return Lock{}, false
	}
	return l, true
}

// waiting returns what the code says that has put a thread into its queue: its
// address is the last of the stack below the entry, where the call of schedule()
// returns to. What a call before has left in the part of the frame that is not
// written yet is above that, and may be another lock's: where both stand so close
// that one frame has them, the kind is Unknown. ok is whether it is a lock at all.
func (r *Reader) waiting(below []uint64) (kind Kind, ok bool) {
	if r.code == nil {
		return Unknown, true
	}
	first := 0
	for i := len(below) - 1; i >= 0; i-- {
		switch k := r.code.Waiting(r.unsigned(below[i])); {
		case k == Unknown || k == kind:
		case kind != Unknown:
			return Unknown, true
		default:
			kind, first = k, i
		}
		if kind != Unknown && first-i >= frameRest {
			return kind, true
		}
	}
	return kind, kind != Unknown
}

// framed is waiting where it is Unknown and frames are linked. The entry of the queue
// is in the frame that the call of schedule() returns to, and so below the link of its
// caller's. Its own is on either side: with -fstack-protector gcc has variables below
// the link (CVE-2023-4039). What a call before has left is linked to no such frame.
func (r *Reader) framed(base uint64, stack []uint64, entry int) Kind {
	index := func(addr uint64) int {
		if addr < base || addr >= base+uint64(len(stack)*r.word) || addr%uint64(r.word) != 0 {
			return -1
		}
		return int(addr-base) / r.word
	}
	kind, first := Unknown, 0
	for i := entry - 2; i >= 0 && (kind == Unknown || first-i < frameRest); i-- {
		frame := index(stack[i])
		if frame <= i || index(stack[frame]) <= max(frame, entry) || r.code == nil {
			continue
		}
		switch k := r.code.Waiting(r.unsigned(stack[i+1])); {
		case k == Unknown || k == kind:
		case kind != Unknown:
			return Unknown
		default:
			kind, first = k, i
		}
	}
	return kind
}

// unsigned is a return address without what arm64 signs it with where the kernel has
// pointer authentication: bit 55 says that it is the kernel's, those above 47 are then 1.
func (r *Reader) unsigned(addr uint64) uint64 {
	if r.word == 8 && addr>>55&1 == 1 {
		addr |= 0xffff << 48
	}
	return addr
}
