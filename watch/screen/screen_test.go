// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
	"safeload/watch"
)

// busy is a view of a load that waits for its request, of another that waits for it, of one that failed, and a finding.
func busy() *View {
	v := New(watch.Description{Name: "bpf", Missing: []string{"queues"}}, func(f *live.Finding) []string {
		return []string{f.Module + " waits for itself (proven)", "  request for x"}
	})
	for i, e := range []bpf.Event{
		{Kind: bpf.LoadBegin, ID: 1, TID: 10, Comm: "modprobe"},
		{Kind: bpf.Init, ID: 1, Name: "outer\x1b[2J"},
		{Kind: bpf.Request, ID: 2, TID: 10, Comm: "modprobe", Name: "crypto-inner"},
		{Kind: bpf.LoadBegin, ID: 3, TID: 11, Comm: "insmod"},
		{Kind: bpf.Wait, ID: 3, Peer: 1, How: uint32(bpf.WaitFile)},
		{Kind: bpf.LoadBegin, ID: 4, TID: 12, Comm: strings.Repeat("w", 15)},
		{Kind: bpf.Init, ID: 4, Name: strings.Repeat("n", 60)},
		{Kind: bpf.LoadEnd, ID: 4, Ret: -19},
		{Kind: bpf.LoadEnd, ID: 77},
		{Kind: bpf.RequestEnd, ID: 77},
	} {
		e.At = time.Second + time.Duration(i)*time.Millisecond
		v.Seen(&watch.Observation{Event: e})
	}
	v.Finding(&live.Finding{Finding: graph.Finding{Module: "outer"}})
	v.Note("a note of %s", "somebody\n")
	return v
}

func text(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

func TestLines(t *testing.T) {
	got := text(busy().lines(3*time.Second, 17))
	want := `safeload watch (bpf): 1 findings, 2 loads in flight, 1 done, 1 failed, 0 lost events
requests: 1 waiting, 1 in all, 0 in the last second, 1 in the busiest
in flight
outer\x1b[2J               modprobe[10]              2.0 s  waits for its request crypto-inner
(no name yet)              insmod[11]                2.0 s  waits for the load of outer\x1b[2J, by file
crypto-inner               modprobe[10]              2.0 s  request
findings, the last first
outer waits for itself (proven)
  request for x
notes
a note of somebody\x0a
loads that have ended, the last first
nnnnnnnnnnnnnnnnnnnnnnnnn… wwwwwwwwwwwwwww[12]      2.0 ms  ENODEV



q ends; not seen on this kernel: queues
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestSizes: each screen is filled, not more, with as much as there may be.
func TestSizes(t *testing.T) {
	v := busy()
	for i := range 500 {
		v.Seen(&watch.Observation{Event: bpf.Event{Kind: bpf.LoadBegin, ID: uint64(100 + i), TID: uint32(i)}})
		v.Finding(&live.Finding{Finding: graph.Finding{Module: fmt.Sprint(i)}})
		v.Note("%d", i)
	}
	for rows := 1; rows < 60; rows++ {
		if n := len(v.lines(time.Second, rows)); n != rows {
			t.Errorf("%d lines on %d rows", n, rows)
		}
	}
	v.Lost(7)
	if got := text(v.lines(time.Second, 20)); !strings.Contains(got, "0 loads in flight") || !strings.Contains(got, "7 lost events") {
		t.Errorf("after events were lost:\n%s", got)
	}
}

func TestRate(t *testing.T) {
	v := New(watch.Description{}, nil)
	for i := range 5 {
		v.Seen(&watch.Observation{Event: bpf.Event{Kind: bpf.Request, ID: uint64(i), At: 2*time.Second + time.Duration(i)}})
	}
	for now, want := range map[time.Duration]string{3 * time.Second: "5 in the last second", 4 * time.Second: "0 in the last second"} {
		if got := text(v.lines(now, 5)); !strings.Contains(got, want) {
			t.Errorf("at %v: no %q in\n%s", now, want, got)
		}
	}
}

// TestTerminal shows the view in a pty of fixed size, and leaves by a key: the terminal is then what it was.
func TestTerminal(t *testing.T) {
	master, slave := openPTY(t, 100, 18)
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("LC_ALL", "C.UTF-8")
	quit := make(chan struct{})
	term, err := Open(busy(), slave.Name(), sync.OnceFunc(func() { close(quit) }))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for !strings.Contains(out.String(), "q ends") {
		b := make([]byte, 4096)
		n, err := master.Read(b)
		if err != nil {
			t.Fatalf("%v after %q", err, out.String())
		}
		out.Write(b[:n])
	}
	for _, want := range []string{"safeload watch (bpf): 1 findings", "waits for its request crypto-inner", "ENODEV", `outer\x1b[2J`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
	if _, err := master.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	<-quit
	go drain(master)
	term.Close()
	if after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS); err != nil || *after != *before {
		t.Errorf("the terminal is left otherwise: %v", err)
	}
}

func drain(f *os.File) {
	b := make([]byte, 4096)
	for {
		if _, err := f.Read(b); err != nil {
			return
		}
	}
}

func openPTY(t *testing.T, columns, rows uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// TestNarrow: what has no room is cut at the edge, also when the terminal becomes smaller.
func TestNarrow(t *testing.T) {
	s := tcell.NewSimulationScreen("UTF-8")
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	defer s.Fini()
	term := &Terminal{screen: s, view: busy(), now: func() time.Duration { return 3 * time.Second }}
	for _, size := range [][2]int{{100, 18}, {40, 12}, {20, 3}} {
		s.SetSize(size[0], size[1])
		term.draw()
		cells, w, h := s.GetContents()
		if w != size[0] || h != size[1] || len(cells) != w*h || string(cells[0].Runes) != "s" {
			t.Errorf("%dx%d: %d cells of %dx%d", size[0], size[1], len(cells), w, h)
		}
	}
}
