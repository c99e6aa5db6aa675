// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/clock"
)

// fakeClock is turned by what waits on it.
type fakeClock struct {
	clock.System
	now time.Time
}

func (c *fakeClock) Now() time.Time { return c.now }
func (c *fakeClock) Boot() int64    { return c.now.UnixNano() }

func (c *fakeClock) turnTo(t time.Time) {
	if t.After(c.now) {
		c.now = t
	}
}

var start = time.Unix(1000, 0)

func at(d time.Duration) time.Time { return start.Add(d) }

// said is an observation and when it is made.
type said struct {
	at time.Time
	Observation
	err error
}

// fakeSource says what it is told to say, and turns the clock to wait.
type fakeSource struct {
	clock        *fakeClock
	says         []said
	waits, stuck bool
	lost         func(now time.Time) uint64
	beats        []time.Duration
	woken        bool
}

func (s *fakeSource) Next(until time.Time) (Observation, error) {
	if s.woken {
		s.woken = false
		return Observation{}, ErrWoken
	}
	if len(s.says) == 0 || until.Before(s.says[0].at) {
		s.clock.turnTo(until)
		return Observation{}, os.ErrDeadlineExceeded
	}
	o := s.says[0]
	s.says = s.says[1:]
	s.clock.turnTo(o.at)
	return o.Observation, o.err
}

func (s *fakeSource) Beat() error {
	s.beats = append(s.beats, s.clock.now.Sub(start))
	return nil
}

func (s *fakeSource) Lost() (uint64, error) {
	if s.lost == nil {
		return 0, nil
	}
	return s.lost(s.clock.now), nil
}

func (s *fakeSource) Describe() Description    { return Description{Name: "fake"} }
func (s *fakeSource) Wake()                    {}
func (s *fakeSource) Waits(*live.Finding) bool { return s.waits }
func (s *fakeSource) Stuck(*live.Finding) bool { return s.stuck }
func (s *fakeSource) Close() error             { return nil }

// notes is a reporter that writes down what it is told, and when.
type notes struct {
	clock *fakeClock
	lines []string
}

func (n *notes) add(format string, a ...any) {
	n.lines = append(n.lines, n.clock.now.Sub(start).String()+" "+fmt.Sprintf(format, a...))
}

func (n *notes) Finding(f *live.Finding) {
	n.add("%s %s, signal %d", f.Module, live.Word(f.Certainty), f.Sent)
}
func (n *notes) Signalled(f *live.Finding)    { n.add("signalled %d: %d", f.Victim(), f.Sent) }
func (n *notes) Freed(f *live.Freed)          { n.add("freed %d", f.TGID) }
func (n *notes) Seen(*Observation)            {}
func (n *notes) Lost(events uint64)           { n.add("lost %d", events) }
func (n *notes) Note(format string, a ...any) { n.add(format, a...) }

// rig is a watch with nothing of a system below it.
type rig struct {
	*Watch
	clock  *fakeClock
	source *fakeSource
	notes  *notes
	logged []string
	killed []int
}

func newRig(o Options, says ...said) *rig {
	c := &fakeClock{now: start}
	r := &rig{clock: c, source: &fakeSource{clock: c, says: says, waits: true}, notes: &notes{clock: c}}
	r.Watch = New(r.source, o, r.notes)
	r.Watch.clock = c
	r.log = func(line string) error { r.logged = append(r.logged, line); return errors.New("no log") }
	r.describe = func(f *live.Finding) { f.Token = "t" }
	r.breaker.send = func(pid int, _ syscall.Signal, still func() bool) error {
		if !still() {
			return errors.New("it has left the wait")
		}
		r.killed = append(r.killed, pid)
		return nil
	}
	return r
}

func found(pid uint32, c graph.Certainty, signal int32) Observation {
	return Observation{Report: live.Report{Findings: []live.Finding{{Finding: graph.Finding{Module: fmt.Sprintf("m%d", pid), Waiter: int(pid), Certainty: c}, Comm: "modprobe", Sent: signal}}}}
}

func (r *rig) check(t *testing.T, want []string, killed ...int) {
	t.Helper()
	if diff := cmp.Diff(want, r.notes.lines); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	if !slices.Equal(r.killed, killed) {
		t.Errorf("signalled %v, want %v", r.killed, killed)
	}
}

func TestRunEndsWhenItIsOver(t *testing.T) {
	r := newRig(Options{Duration: 3500 * time.Millisecond})
	sum, err := r.Run(t.Context())
	if sum != (Summary{}) || err != nil || r.clock.now != at(3500*time.Millisecond) {
		t.Errorf("%+v, %v at %v", sum, err, r.clock.now.Sub(start))
	}
	if want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}; !slices.Equal(r.source.beats, want) {
		t.Errorf("beats at %v, want %v", r.source.beats, want)
	}
	r.check(t, nil)
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newRig(Options{})
	if _, err := r.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestRunOnce(t *testing.T) {
	r := newRig(Options{Once: true}, said{at: at(time.Second / 2), Observation: found(7, graph.Likely, bpf.Unsent)},
		said{at: at(time.Second), Observation: found(8, graph.Likely, bpf.Unsent)})
	sum, err := r.Run(t.Context())
	if sum.Findings != 1 || err != nil {
		t.Errorf("%+v, %v", sum, err)
	}
	r.check(t, []string{"500ms m7 likely, signal -1"})
	if len(r.logged) != 1 {
		t.Errorf("logged %q", r.logged)
	}
}

func TestRunFailsWithItsSource(t *testing.T) {
	broken := errors.New("broken")
	r := newRig(Options{}, said{at: at(0), err: ErrWoken}, said{at: at(0), err: broken})
	if _, err := r.Run(t.Context()); err != broken {
		t.Errorf("got %v", err)
	}
}

// The waiter is signalled before its finding is told, and what was lost is told
// with the next beat and at the end.
func TestRunBreaks(t *testing.T) {
	freed := Observation{Report: live.Report{Freed: &live.Freed{TGID: 7}}}
	r := newRig(Options{Break: syscall.SIGTERM, Duration: 1500 * time.Millisecond},
		said{at: at(0), Observation: found(7, graph.Certain, bpf.Unsent)}, said{at: at(time.Millisecond), Observation: freed})
	r.source.lost = func(now time.Time) uint64 {
		if now.After(at(time.Second)) {
			return 5
		}
		return 2
	}
	sum, err := r.Run(t.Context())
	if sum != (Summary{1, 5}) || err != nil {
		t.Errorf("%+v, %v", sum, err)
	}
	r.check(t, []string{"0s m7 proven, signal 15", "1ms freed 7", "1s lost 2", "1.5s lost 3"}, 7)
}

func TestRunTellsWhoCannotBeSignalled(t *testing.T) {
	r := newRig(Options{Break: syscall.SIGTERM, Duration: time.Second}, said{at: at(0), Observation: found(7, graph.Certain, bpf.Unsent)})
	r.source.waits = false
	if _, err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
	r.check(t, []string{"0s cannot signal modprobe[7]: it has left the wait", "0s m7 proven, signal -1"})
}

// Another of the circle got the signal: that is to be enough, and if it was not
// the next one gets one too.
func TestRunClaimed(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		t.Run(fmt.Sprint("still stuck: ", stuck), func(t *testing.T) {
			r := newRig(Options{Break: syscall.SIGKILL, Duration: time.Second}, said{at: at(0), Observation: found(7, graph.Certain, bpf.Claimed)})
			r.source.stuck = stuck
			if _, err := r.Run(t.Context()); err != nil {
				t.Error(err)
			}
			want := []string{"0s m7 proven, signal -2"}
			if !stuck {
				r.check(t, want)
				return
			}
			r.check(t, append(want, "100ms signalled 7: 9"), 7)
		})
	}
}

func TestRunLogsSome(t *testing.T) {
	var says []said
	for i := range 14 {
		says = append(says, said{at: at(time.Duration(i) * time.Second), Observation: found(uint32(i), graph.Likely, bpf.Unsent)})
	}
	says = append(says, said{at: at(time.Hour), Observation: found(99, graph.Likely, bpf.Unsent)})
	r := newRig(Options{Duration: 2 * time.Hour}, says...)
	if _, err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if len(r.logged) != 11 || !cmp.Equal(r.logged[10], "safeload: 4 findings before this were not logged; module m99: load waits for itself (likely): ") {
		t.Errorf("%d lines: %q", len(r.logged), r.logged)
	}
}

// fakeStream gives out events, and turns the clock where it has to wait.
type fakeStream struct {
	clock    *fakeClock
	events   []bpf.Event
	deadline time.Time
	lost     uint64
	waiting  map[uint64]bool
}

func (s *fakeStream) Read() (bpf.Event, error) {
	if len(s.events) == 0 || s.deadline.Before(start.Add(s.events[0].At)) {
		s.clock.turnTo(s.deadline)
		return bpf.Event{}, os.ErrDeadlineExceeded
	}
	e := s.events[0]
	s.events = s.events[1:]
	s.clock.turnTo(start.Add(e.At))
	return e, nil
}

func (s *fakeStream) SetDeadline(t time.Time)  { s.deadline = t }
func (s *fakeStream) Wake()                    {}
func (s *fakeStream) Beat() error              { return nil }
func (s *fakeStream) Lost() (uint64, error)    { return s.lost, nil }
func (s *fakeStream) Waiting(load uint64) bool { return s.waiting[load] }
func (s *fakeStream) Missing() []string        { return []string{"smells"} }
func (s *fakeStream) Close() error             { return nil }

// kthreadCircle is the incident: an init's kernel thread asks for the module
// whose init it is.
func kthreadCircle() []bpf.Event {
	return []bpf.Event{
		{Kind: bpf.LoadBegin, ID: 1, TID: 100, TGID: 100, Comm: "insmod", Ret: 3},
		{Kind: bpf.Init, ID: 1, TID: 100, TGID: 100, Name: "a"},
		{Kind: bpf.Request, ID: 2, Peer: 1, TID: 50, TGID: 50, Comm: "cryptomgr_test", How: uint32(bpf.ViaKthread), Name: "a"},
		{Kind: bpf.Child, ID: 2, Peer: 1, Ctx: 2, TID: 101, TGID: 101, Comm: "modprobe"},
		{Kind: bpf.LoadBegin, ID: 3, Ctx: 2, TID: 101, TGID: 101, Comm: "modprobe", Ret: 3},
		{Kind: bpf.Wait, ID: 3, Peer: 1, Ctx: 2, TID: 101, TGID: 101, Comm: "modprobe", How: uint32(bpf.WaitFile), At: time.Millisecond},
	}
}

// A circle over a kernel thread is likely, and proven once the init that it is to
// end for has slept a second without waking.
func TestEventsStandStill(t *testing.T) {
	c := &fakeClock{now: start}
	wakes := func(*live.Load) string {
		if c.now.Before(at(400 * time.Millisecond)) {
			return "1" // it wakes once more
		}
		return "2"
	}
	s := &events{stream: &fakeStream{clock: c, events: kthreadCircle()}, clock: c,
		still: standing{wakes: wakes}, asleep: func(load uint64) bool { return load == 1 }, requested: func(uint64) bool { return true }}
	var got []string
	for {
		o, err := s.Next(at(3 * time.Second))
		if err == os.ErrDeadlineExceeded {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range o.Findings {
			got = append(got, c.now.Sub(start).String()+" "+live.Word(f.Certainty)+" "+f.Module)
			if !s.Stuck(&f) && f.Certainty == graph.Certain {
				got = append(got, "but not stuck")
			}
		}
	}
	// What was proven by standing still is no longer so for certain a moment later.
	if want := []string{"1ms likely a", "1.401s proven a", "but not stuck"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if c.now != at(3*time.Second) {
		t.Errorf("Next ended at %v", c.now.Sub(start))
	}
}

// After a loss what the kernel does not have any more is forgotten, and only
// where a stream can tell.
func TestEventsForgetWhatWasLost(t *testing.T) {
	for name, requested := range map[string]func(uint64) bool{"probe": func(uint64) bool { return true }, "tracefs": nil} {
		c := &fakeClock{now: start}
		stream := &fakeStream{clock: c, events: kthreadCircle()[:2], lost: 1}
		s := &events{stream: stream, clock: c, requested: requested}
		for range 2 {
			if _, err := s.Next(at(time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.Lost(); n != 1 || err != nil {
			t.Errorf("%s: %d lost, %v", name, n, err)
		}
		stream.events = []bpf.Event{{Kind: bpf.LoadEnd, ID: 1}}
		o, err := s.Next(at(time.Second))
		if err != nil || (o.Load == nil) != (name == "probe") {
			t.Errorf("%s: the load that ended is %v, %v", name, o.Load, err)
		}
	}
}

func TestEventsWaits(t *testing.T) {
	s := &events{stream: &fakeStream{waiting: map[uint64]bool{7: true}}}
	for _, f := range []live.Finding{{Load: 7}, {Load: 0, How: bpf.WaitOpen}} {
		if !s.Waits(&f) {
			t.Errorf("%+v does not wait", f)
		}
	}
	if s.Waits(&live.Finding{Load: 8}) {
		t.Error("one who has left waits")
	}
	// Whose own init runs by now is in flight, too.
	s.waits = func(uint64) bool { return false }
	if s.Waits(&live.Finding{Load: 7}) {
		t.Error("one whose own init runs waits for another's")
	}
	if d := s.Describe(); !slices.Equal(d.Missing, []string{"smells"}) {
		t.Errorf("misses %q", d.Missing)
	}
}

// A finding of /proc is told once, and again when it has gone and come.
func TestSamples(t *testing.T) {
	c := &fakeClock{now: start}
	circle := survey.Survey{
		Tasks: []survey.Seen{{PID: 100, TID: 100, Comm: "insmod", Role: survey.RoleLoad, File: "/a.ko", Asleep: time.Second},
			{PID: 101, TID: 101, Comm: "modprobe", Role: survey.RoleWait}, {PID: 102, TID: 102, Comm: "sh", Role: survey.RoleShell}},
		Findings: []graph.Finding{{Module: "a", Certainty: graph.Certain, Waiter: 101, Signal: true, Chain: graph.Chain{
			{PID: 100, TID: 100, Comm: "insmod", Module: "a", Certainty: graph.Certain},
			{PID: 102, TID: 102, Comm: "sh", Certainty: graph.Likely},
			{PID: 101, TID: 101, Comm: "modprobe", Module: "a", Certainty: graph.Certain}}}},
	}
	now := &circle
	s := newSamples()
	s.clock = c
	s.examine = func() (*survey.Survey, error) { return now, nil }
	s.wait = func(d time.Duration, _ <-chan struct{}) bool { c.turnTo(c.now.Add(d)); return false }

	o, err := s.Next(at(time.Second))
	if err != nil || len(o.Findings) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	f := o.Findings[0]
	want := live.Finding{At: time.Duration(start.UnixNano()), TID: 101, Comm: "modprobe", Sent: bpf.Unsent, Surveyed: true, Finding: graph.Finding{Certainty: graph.Certain, Module: "a", Waiter: 101, Signal: true,
		Chain: []graph.Hop{
			{What: graph.HopLoad, Module: "a", FD: -1, File: "/a.ko", TID: 100, PID: 100, Comm: "insmod", Certainty: graph.Certain, For: time.Second},
			{What: graph.HopProcess, FD: -1, TID: 102, PID: 102, Comm: "sh", Certainty: graph.Likely},
			{What: graph.HopWait, How: "wait-0", Module: "a", FD: -1, TID: 101, PID: 101, Comm: "modprobe", Certainty: graph.Certain}}}}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
	if !s.Waits(&f) || !s.Stuck(&f) || s.Waits(&live.Finding{Finding: graph.Finding{Waiter: 100}}) {
		t.Error("who waits and is stuck is not told")
	}
	if o, err := s.Next(at(3 * time.Second)); err != os.ErrDeadlineExceeded {
		t.Errorf("the same again: %+v, %v", o, err)
	}
	now = &survey.Survey{}
	if s.Waits(&f) || s.Stuck(&f) {
		t.Error("who has left waits")
	}
	if _, err := s.Next(at(5 * time.Second)); err != os.ErrDeadlineExceeded {
		t.Error(err)
	}
	now = &circle
	if o, err := s.Next(at(7 * time.Second)); err != nil || len(o.Findings) != 1 {
		t.Errorf("come again: %+v, %v", o, err)
	}
	broken := errors.New("broken")
	s.examine = func() (*survey.Survey, error) { return nil, broken }
	if _, err := s.Next(at(9 * time.Second)); err != broken || s.Waits(&f) {
		t.Errorf("a survey that fails: %v", err)
	}
}

// Wake ends a Next that really waits.
func TestSamplesWake(t *testing.T) {
	s := newSamples()
	s.next = time.Now().Add(time.Hour)
	go s.Wake()
	if _, err := s.Next(time.Now().Add(time.Hour)); err != ErrWoken {
		t.Error(err)
	}
}

func TestOpenUnknown(t *testing.T) {
	if _, err := Open(OpenOptions{Source: "eyes"}); err == nil {
		t.Error("a source that does not exist was opened")
	}
	if want := []string{"bpf", "tracefs", "proc"}; !slices.Equal(Sources(), want) {
		t.Errorf("sources %q, want %q", Sources(), want)
	}
}
