// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/timeline"
	"safeload/watch"
)

// notes is a Reporter that keeps notes.
type notes struct {
	watch.Reporter
	all []string
}

func (n *notes) Seen(*watch.Observation)      {}
func (n *notes) Note(format string, a ...any) { n.all = append(n.all, fmt.Sprintf(format, a...)) }

func requestOf(id uint64, name string) *watch.Observation {
	return &watch.Observation{Event: bpf.Event{Kind: bpf.Request, At: time.Second, ID: id, TID: 9, TGID: 9, Name: name}}
}

// names are those of the requests in a record.
func names(t *testing.T, file string) (all []string, full bool) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tl, err := timeline.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range tl.Requests {
		all = append(all, q.Name)
	}
	return all, tl.Full
}

// TestRecordAgain: a watch that starts again leaves the former record beside its own.
func TestRecordAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	for _, what := range []string{"first", "second", "third"} {
		w, err := record(name, watch.Description{Name: "bpf"}, nil, nil, &notes{})
		if err != nil {
			t.Fatal(err)
		}
		w.Seen(requestOf(1, what))
		w.end()
	}
	for file, want := range map[string]string{name: "third", name + ".1": "second"} {
		if got, _ := names(t, file); strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", file, got, want)
		}
		if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, st.Mode(), err)
		}
	}
}

// TestRecordForeign: what others have made is not written to, and not waited for; nor does what is no file give way.
func TestRecordForeign(t *testing.T) {
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs")
	if err := os.WriteFile(theirs, []byte("theirs"), 0o666); err != nil {
		t.Fatal(err)
	}
	open, err := os.OpenFile(theirs, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	f, err := newRecordFile(theirs, nil)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "ours, and more of it")
	f.Close()
	if b, _ := io.ReadAll(open); string(b) != "theirs" {
		t.Errorf("who had it open reads %q", b)
	}
	fifo, link, target := filepath.Join(dir, "fifo"), filepath.Join(dir, "link"), filepath.Join(dir, "target")
	if err := unix.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fifo, link, dir, "/dev/null"} {
		if f, err := newRecordFile(name, nil); err == nil {
			f.Close()
			t.Errorf("%s was taken for a record", name)
		}
		if _, err := os.Lstat(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("a link was followed")
	}
}

// TestRecordTwice: a second watch does not rename the record of one that runs, and says so; after its end it does, and where
// strangers can lock a file, their lock is not believed.
func TestRecordTwice(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	begin := func() (*watchRecorder, error) {
		return record(name, watch.Description{Name: "bpf"}, nil, nil, &notes{})
	}
	first, err := begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := begin(); err == nil || !strings.Contains(err.Error(), "another watch writes "+name) {
		t.Fatalf("a second watch: %v", err)
	}
	if _, err := os.Lstat(name + ".1"); err == nil {
		t.Error("it renamed the record of the first")
	}
	over(first, "first")
	first.end()
	if all, _ := names(t, name); strings.Join(all, " ") != "first" {
		t.Errorf("the first has %q", all)
	}
	next, err := begin()
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	next.end()
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	last, err := begin()
	if err != nil {
		t.Fatalf("a file that a stranger has locked: %v", err)
	}
	last.end()
}

// TestRecordFull: a record that is full is kept as the former one, said once, and goes on; nothing is missing between the two.
func TestRecordFull(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	told := &notes{}
	w, err := record(name, watch.Description{Name: "bpf"}, nil, nil, told)
	if err != nil {
		t.Fatal(err)
	}
	const n = 280
	for i := range uint64(n) {
		w.Seen(requestOf(i+1, fmt.Sprint(i, strings.Repeat("x", 1<<17))))
	}
	w.end()
	before, full := names(t, name+".1")
	after, again := names(t, name)
	if len(before)+len(after) != n || len(before) == 0 || len(after) == 0 || !full || again {
		t.Errorf("%d and %d, full: %v, %v", len(before), len(after), full, again)
	}
	if len(told.all) != 1 || !strings.Contains(told.all[0], "the record is full") {
		t.Errorf("%.200q", told.all)
	}
}

// TestRecordFlood: a note counts of how many it is not known who they are.
func TestRecordFlood(t *testing.T) {
	tasks, err := timeline.OpenTasks()
	if err != nil {
		t.Fatal(err)
	}
	defer tasks.Close()
	told := &notes{}
	w, err := record(filepath.Join(t.TempDir(), "record"), watch.Description{Name: "bpf"}, tasks, nil, told)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(5000) {
		w.Seen(requestOf(i+1, "net-pf-38"))
	}
	w.end()
	if len(told.all) != 2 || !strings.Contains(told.all[1], " 4499 are in the record without") {
		t.Errorf("%q", told.all)
	}
}

// locked is a buffer for two goroutines.
type locked struct {
	sync.Mutex
	b bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.b.Write(b)
}

// TestFollowAnew: who follows a record is told when another takes its place, and follows that one; the same where it is cut.
func TestFollowAnew(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	begin := func(what string) *watchRecorder {
		w, err := record(name, watch.Description{Name: "bpf"}, nil, nil, &notes{})
		if err != nil {
			t.Fatal(err)
		}
		over(w, what)
		return w
	}
	w := begin("first")
	ctx, cancel := context.WithCancel(context.Background())
	seen, said := make(chan string, 10), &locked{}
	done := make(chan error)
	go func() {
		done <- followRecord(ctx, name, timeline.Now{}, func(_ *timeline.Timeline, e timeline.Entry) { seen <- e.Request.Name }, said)
	}()
	want := func(what string) {
		t.Helper()
		select {
		case got := <-seen:
			if got != what {
				t.Errorf("%q, want %q", got, what)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%q is not told", what)
		}
	}
	want("first")
	w.end()
	w = begin("second")
	want("second")
	over(w, "third")
	want("third")
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	w.record, _ = timeline.NewRecorder(w.file, timeline.Start{Release: "6.12"}, nil)
	over(w, "4")
	want("4")
	w.end()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := strings.Count(said.b.String(), "the record was replaced by a new one"); got != 2 {
		t.Errorf("said %q", said.b.String())
	}
}

// TestLogSignal: without --follow a signal ends log at once, whatever it waits for.
func TestLogSignal(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("safeload", "log", fifo)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	// More than a pipe holds: it reads when this is written.
	fmt.Fprint(w, `{"schema":1,"type":"start","release":"6.12"}`, strings.Repeat("\n", 1<<20))
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-ended:
		if ws := c.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGINT {
			t.Error(c.ProcessState)
		}
	case <-time.After(2 * time.Minute):
		t.Error("it goes on")
		_ = c.Process.Kill()
		<-ended
	}
}

// over is a request that begins and ends.
func over(w *watchRecorder, name string) {
	o := requestOf(1, name)
	w.Seen(o)
	o.Event.Kind = bpf.RequestEnd
	w.Seen(o)
}
