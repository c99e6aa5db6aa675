// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"safeload/internal/proc"
)

// peekMost is PEEK_MOST of src/peek.bpf.c.
const peekMost = 2048

// peekAsk and peekAnswer are struct ask and struct answer of src/peek.bpf.c.
type peekAsk struct {
	Addr uint64
	Size uint32
	TGID uint32
}

type peekAnswer struct {
	Task uint64
	SP   uint64
	Err  int64
	Runs uint64
	Data [peekMost]byte
}

// Peek reads the kernel's memory, and finds the task_struct of any thread, for as
// long as it is open. It leaves nothing behind: the kernel detaches it with the
// process, however that ends. It needs CAP_BPF and CAP_PERFMON (5.8), kprobes, and
// a kernel that is not locked down for confidentiality; no BTF.
//
// A Peek may be used by several goroutines.
type Peek struct {
	mu   sync.Mutex
	objs peekObjects
	link link.Link
	proc *proc.FS
	// The last answer. It has no padding: the kernel writes it here, and nothing is decoded.
	answer peekAnswer
}

// OpenPeek attaches it. What lacks is told as by [Open].
func OpenPeek() (*Peek, error) {
	if err := KprobesSafe(); err != nil {
		return nil, err
	}
	p := &Peek{}
	var err error
	if p.proc, err = proc.OpenProc(); err != nil {
		return nil, &Unavailable{Missing: []string{"/proc"}, Err: err}
	}
	if err := loadPeekObjects(&p.objs, nil); err != nil {
		p.Close()
		return nil, refused(err)
	}
	if p.link, err = link.Kprobe("proc_oom_score", p.objs.Peek, nil); err != nil {
		p.Close()
		return nil, &Unavailable{Missing: []string{"a kprobe on proc_oom_score"}, Err: err}
	}
	// In a PID namespace other than the first our number is another's.
	if _, err := p.Task(os.Getpid(), os.Getpid()); err != nil {
		p.Close()
		return nil, &Unavailable{Missing: []string{"answers of a kprobe on proc_oom_score"}, Err: err}
	}
	return p, nil
}

// Close detaches it.
func (p *Peek) Close() {
	if p.link != nil {
		p.link.Close()
	}
	p.objs.Close()
	p.proc.Close()
}

// Task returns where the kernel keeps a thread.
func (p *Peek) Task(pid, tid int) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, err := p.ask(pid, tid, 0, 0)
	if err != nil {
		return 0, err
	}
	return a.Task, nil
}

// Stack returns an address on the kernel stack of a thread of this process, and where the
// kernel keeps that thread: whoever calls it.
func (p *Peek) Stack() (sp, task uint64, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p.mu.Lock()
	defer p.mu.Unlock()
	a, err := p.ask(os.Getpid(), unix.Gettid(), 0, 0)
	if err != nil {
		return 0, 0, err
	}
	return a.SP, a.Task, nil
}

// Read reads kernel memory. Nothing is read of what cannot be read as a whole.
func (p *Peek) Read(addr uint64, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for done := 0; done < len(b); {
		n := min(len(b)-done, peekMost)
		a, err := p.ask(os.Getpid(), os.Getpid(), addr+uint64(done), n)
		if err != nil {
			return err
		}
		done += copy(b[done:done+n], a.Data[:])
	}
	return nil
}

var errNoAnswer = errors.New("the kprobe did not run")

// ask has the program answer for one thread. The answer is there until the next.
func (p *Peek) ask(pid, tid int, addr uint64, size int) (*peekAnswer, error) {
	what := peekAsk{Addr: addr, Size: uint32(size), TGID: uint32(os.Getpid())}
	if err := p.objs.Asks.Update(uint32(0), &what, ebpf.UpdateAny); err != nil {
		return nil, fmt.Errorf("ask the kernel: %w", err)
	}
	if _, err := p.proc.Read(strconv.Itoa(pid) + "/task/" + strconv.Itoa(tid) + "/oom_score"); err != nil {
		return nil, fmt.Errorf("have the kernel look at thread %d: %w", tid, err)
	}
	a, before := &p.answer, p.answer.Runs
	if err := p.objs.Answers.Lookup(uint32(0), a); err != nil {
		return nil, fmt.Errorf("read the kernel's answer: %w", err)
	}
	if a.Runs == before {
		return nil, errNoAnswer
	}
	if a.Err != 0 {
		return nil, fmt.Errorf("read kernel memory at %#x: error %d", addr, -a.Err)
	}
	return a, nil
}
