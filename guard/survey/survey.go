// SPDX-License-Identifier: Apache-2.0

// Package survey looks at a whole system from outside: who loads, who waits for
// whom, who can never move, and what would free it.
package survey

import (
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/guard/graph"
	"safeload/internal/ancestry"
	"safeload/internal/clock"
	"safeload/internal/conf"
	"safeload/internal/observe"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// Survey is what two looks at a whole system, a moment apart, show of its
// module loads; one look is enough where it shows nobody who asks or is stuck.
// Nothing need be installed for it; root sees most.
type Survey struct {
	Looked   int // tasks, in one look
	Took     time.Duration
	Tasks    []Seen          // those that load, request, help or wait, by thread id
	Edges    []Edge          // who of them waits for whom
	Findings []graph.Finding // who waits for itself
	Faults   []string        // what could not be seen
	// A load sleeps that may wait for a lock: who holds it was looked for, or why
	// that cannot be seen.
	LocksRead bool
	NoLocks   error
	Dead      []string // modules that stay coming: nobody runs their init any more
}

// Seen is a task that has a part in loading.
type Seen struct {
	PID, TID, PPID int
	Start          uint64 // of the process, in ticks since boot
	Comm           string
	Command        string // its arguments, as it tells them; not of who may not load
	Role           string
	Kernel         bool // a kernel thread
	State          byte
	Wchan          string
	Call           string // finit_module, init_module, or empty
	Stack          string // where the kernel shows it
	Module         string // that it loads or waits for
	File           string
	Initstate      string
	Duplicate      bool          // repeats a request, and waits for the first one's end
	Params         string        // that its load was given
	Request        string        // that it was started for
	Token, Parent  string        // of an invocation of safeload
	Depth          int           // invocations above it
	Running        time.Duration // since the process began
	Asleep         time.Duration // since it last ran; 0 when not known
	Since          time.Duration // since an invocation of safeload began what it does
}

// Edge is one wait, for the end of any one of To, the likeliest first.
type Edge struct {
	From      int
	To        []int
	Certainty graph.Certainty
	Why       string
}

// surveyGap is the time between the looks: what rests on sleeping tasks must
// hold in both.
const surveyGap = 150 * time.Millisecond

// Options are what a survey must know of its program.
type Options struct {
	Dir    string         // of the registry; empty: /run/safeload
	Unpack finit.Unpacker // of compressed files, for the names in them
	// Locks, if not nil, opens what tells who holds a lock. It is asked where a load
	// sleeps that nothing else explains.
	Locks func() (Locks, error)
}

// Locks tells from the kernel's memory who holds the lock that a thread waits for.
// It must be closed.
type Locks interface {
	Of(pid, tid int) (graph.Holding, bool)
	Close()
}

// Examine makes a survey. The registry is read, never made.
func Examine(o Options) (*Survey, error) {
	dir := o.Dir
	p, err := proc.OpenProc()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	began := time.Now()
	sv := &Survey{}
	sys, err := proc.OpenSys()
	if err != nil {
		sv.Faults = append(sv.Faults, "cannot see /sys: "+err.Error()+"; which modules are coming is not known")
	}
	defer sys.Close()
	if unix.Geteuid() != 0 {
		sv.Faults = append(sv.Faults, "not root: what other users' tasks wait in is not shown")
	}
	if dir == "" {
		dir = registry.DefaultDir
	}
	var probe observe.Ancestry // nil: none
	if m, err := ancestry.Open(); err == nil {
		defer m.Close()
		probe = m
	}
	r := registry.Existing(dir)
	r.Foreign = p.Nested()
	defer r.Close()
	names := make(map[registry.Inode]string)
	bold := conf.Read(func(string) {}).Policy == conf.Bold
	whole := *sv
	held := &lockReader{open: o.Locks}
	defer held.close()
	p.Bounded(func(p *proc.FS) {
		try := whole
		eyes := &observe.Observer{Proc: p, Sys: sys, Probe: probe, Unpack: o.Unpack, Names: names, ShowRepeats: true, Bold: bold}
		try.watch(func() *observe.Waits {
			entries, err := r.Read(p)
			if err != nil && err != unix.ENOENT && len(try.Faults) == 0 {
				try.Faults = append(try.Faults, "cannot read "+dir+": "+err.Error())
			}
			w := eyes.Look(entries, err == nil)
			held.read(w, &try)
			return w
		}, surveyGap)
		if n := p.GivenUp(); n > 0 {
			try.Faults = append(try.Faults, "some tasks did not answer, as one in execve(2) whose files take for ever to close, and are taken to move")
		}
		*sv = try
	})
	sv.Dead = deadModules(p, sys)
	sv.Took = time.Since(began)
	return sv, nil
}

// watch looks, and looks again after a gap when there is something to confirm.
func (sv *Survey) watch(take func() *observe.Waits, gap time.Duration) {
	first := take()
	sv.Looked = len(first.Tasks) + len(first.Workers)
	was := sightOf(first, first.System(observe.Best, nil).Stuck(graph.Likely))
	if len(was.look) == 0 && !first.HasRequesters() {
		// Nobody is stuck, so there is nothing that must hold twice.
		sv.fill(first, nil, was)
		return
	}
	clock.Sleep(gap)
	sv.fill(take(), first, was)
}

// fill takes from two looks, or from one that shows nobody who is stuck, what a
// survey says.
func (sv *Survey) fill(s, first *observe.Waits, was *sight) {
	sure, maybe := s.System(observe.Exact, first), s.System(observe.Best, first)
	shown := s.System(observe.Paired, first)
	sv.find(s, was, sure, maybe, shown)
	sv.show(s, maybe)
}
