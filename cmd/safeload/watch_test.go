// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/docs/schema"
)

func recursion() live.Finding {
	return live.Finding{Certainty: bpf.Proven, Module: "a\x1b[2J", TID: 101, TGID: 101, Comm: "modprobe", How: bpf.WaitFile, Signal: 15,
		Chain: []live.Step{
			{What: live.StepLoad, Module: "a\x1b[2J", TID: 100, TGID: 100, Comm: "insmod", FD: -1, Certainty: bpf.Proven, For: time.Second},
			{What: live.StepRequest, Request: "x\ny", TID: 100, Comm: "insmod", Via: bpf.HopKthread, Certainty: bpf.Likely},
			{What: live.StepHelper, TID: 101, TGID: 101, Comm: "modprobe", Certainty: bpf.Proven},
			{What: live.StepWait, Module: "a\x1b[2J", TID: 101, TGID: 101, Comm: "modprobe", FD: -1, How: bpf.WaitFile, Certainty: bpf.Proven},
		}}
}

func TestFindingText(t *testing.T) {
	var out, stderr bytes.Buffer
	p := newWatchPrinter(watchOptions{}, &out, &stderr)
	f := recursion()
	f.At, f.Read = time.Second, time.Second+1500*time.Microsecond
	p.finding(&f)
	got := out.String()
	_, got, _ = strings.Cut(got, " ") // the time
	want := `a\x1b[2J waits for itself (proven, seen after 1.5ms)
  load of a\x1b[2J by insmod[100], for 1s
  └─ request for x\x0ay by insmod[100], a kernel thread that its init started (likely), for 0s
     └─ helper modprobe[101], started by the kernel
        └─ modprobe[101] waits for a\x1b[2J (file): the first of this chain
  sent SIGTERM to modprobe[101]
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFindingJSON(t *testing.T) {
	var out, stderr bytes.Buffer
	p := newWatchPrinter(watchOptions{json: true}, &out, &stderr)
	f := recursion()
	f.At, f.Read = time.Second, time.Second+time.Millisecond
	p.finding(&f)
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one line: %q", out.String())
	}
	if _, err := schema.Check("watch", bytes.NewReader(out.Bytes())); err != nil {
		t.Error(err)
	}
	var o struct {
		Schema    int
		Type      string
		Certainty string
		Signal    string
		Seen      int `json:"seen_after_us"`
		Chain     []struct{ What, Via, Certainty string }
	}
	if err := json.Unmarshal(out.Bytes(), &o); err != nil {
		t.Fatal(err)
	}
	if o.Schema != 1 || o.Type != "finding" || o.Certainty != "proven" || o.Signal != "SIGTERM" || o.Seen != 1000 ||
		len(o.Chain) != 4 || o.Chain[1].Via != "kthread" || o.Chain[1].Certainty != "likely" {
		t.Errorf("got %+v", o)
	}
}

func TestBreakFlag(t *testing.T) {
	for in, want := range map[string]syscall.Signal{"true": syscall.SIGTERM, "TERM": syscall.SIGTERM, "kill": syscall.SIGKILL, "SIGKILL": syscall.SIGKILL, "false": 0} {
		var b breakFlag
		if err := b.Set(in); err != nil || syscall.Signal(b) != want {
			t.Errorf("--break=%s: %v, %v", in, syscall.Signal(b), err)
		}
	}
	var b breakFlag
	if b.Set("HUP") == nil {
		t.Error("--break=HUP was accepted")
	}
}

func TestLimiter(t *testing.T) {
	l := limiter{max: 2, every: time.Minute}
	now := time.Now()
	for i, c := range []struct {
		at      time.Duration
		ok      bool
		dropped int
	}{{0, true, 0}, {0, true, 0}, {0, false, 0}, {59 * time.Second, false, 0}, {time.Minute, true, 2}, {time.Minute, true, 0}} {
		if ok, dropped := l.allow(now.Add(c.at)); ok != c.ok || dropped != c.dropped {
			t.Errorf("call %d: %v, %d dropped; want %v, %d", i, ok, dropped, c.ok, c.dropped)
		}
	}
}

func TestReadyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ready")
	if err := clearReady(path); err != nil {
		t.Errorf("none there: %v", err)
	}
	if err := makeReady(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(b), strconv.Itoa(os.Getpid())+"\nstart ") {
		t.Errorf("ready file: %q, %v", b, err)
	}
	if err := makeReady(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("a ready file that exists: %v", err)
	}
	if err := clearReady(path); err != nil {
		t.Errorf("our own: %v", err)
	}
	live, err := keeper(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"of a process that runs", live, false},
		{"of one that had its pid", strings.Replace(live, "start ", "start 1", 1), true},
		{"of another boot", strings.Replace(live, "boot ", "boot x", 1), true},
		{"of one that was killed", "4194305\nstart 7\nboot x\n", true},
		{"somebody's", "keep me\n", false},
		{"empty", "", false},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := clearReady(path)
		_, there := os.Lstat(path)
		if (err == nil) != c.ok || (there != nil) != c.ok {
			t.Errorf("%s: %v, and then %v", c.name, err, there)
		}
	}
	os.Remove(path)
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	if clearReady(path) == nil {
		t.Error("a link was followed")
	}
	os.Remove(path)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := unix.Open(path, unix.O_RDWR, 0) // a writer that says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(w)
	if clearReady(path) == nil {
		t.Error("a FIFO was taken for a ready file")
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// A signal must reach only who is still in the wait that it is to end.
func TestSignalWaiter(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Skipf("no sleep to signal: %v", err)
	}
	f := live.Finding{Load: 7, TGID: uint32(sleep.Process.Pid)}
	if err := signalWaiter(&f, syscall.SIGTERM, func(uint64) bool { return false }); err == nil {
		t.Error("one who has left the wait was signalled")
	}
	if err := signalWaiter(&f, syscall.SIGTERM, func(load uint64) bool { return load == 7 }); err != nil {
		t.Error(err)
	}
	err := sleep.Wait()
	if ws, ok := sleep.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGTERM {
		t.Errorf("the waiter ended with %v", err)
	}
}

func TestStandstill(t *testing.T) {
	start := time.Now()
	l := &live.Load{ID: 7}
	var s standing
	for _, c := range []struct {
		after  time.Duration
		asleep bool
		wakes  string
		still  bool
	}{
		{0, true, "10", false},
		{900 * time.Millisecond, true, "10", false},
		{1000 * time.Millisecond, true, "10", true},
		{1100 * time.Millisecond, true, "11", false}, // it woke, if only for a moment
		{2000 * time.Millisecond, true, "11", false},
		{2050 * time.Millisecond, false, "11", false}, // asleep, but in no completion
		{2200 * time.Millisecond, true, "11", false},
		{3100 * time.Millisecond, true, "", false}, // runs
		{3200 * time.Millisecond, true, "11", false},
		{4200 * time.Millisecond, true, "11", true},
	} {
		got := s.look(start.Add(c.after), []*live.Load{l}, func(uint64) bool { return c.asleep }, func(*live.Load) string { return c.wakes })
		if (len(got) == 1) != c.still {
			t.Errorf("after %v: still %v, want %v", c.after, got, c.still)
		}
	}
}
