// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/internal/observe"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// TestMain plays the other invocation: the same program, without a registry.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SAFELOAD_TEST_ANNOUNCE"); dir != "" {
		g := New(Options{Request: "x", Dir: dir, Log: func(string) {}})
		if os.Getenv("SAFELOAD_TEST_NOBODY") != "" {
			// No longer dumpable, so that /proc/PID is still root's.
			if err := unix.Setresuid(65534, 65534, 65534); err != nil {
				os.Exit(1)
			}
			g.self.Identify()
			_ = g.reg.Announce(registry.Entry{PID: g.self.PID, Start: g.self.Start, State: registry.StateWait, Module: "m", Token: registry.NewToken()})
		}
		g.publish(registry.Entry{State: registry.StateWait, Module: "m"})
		os.Stdout.WriteString("ready\n")
		bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}
	if n, _ := strconv.Atoi(os.Getenv("SAFELOAD_TEST_THREADS")); n > 0 {
		idleThreads(n)
	}
	os.Exit(m.Run())
}

// announcer starts the other invocation, which ends with the test.
func announcer(t *testing.T, env ...string) (pid int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(append(os.Environ(), "SAFELOAD_TEST_ANNOUNCE=/nowhere/safeload"), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd.Process.Pid
}

func TestAnnounced(t *testing.T) {
	pid := announcer(t)
	p, err := proc.OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	self, err := p.Exe(unix.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	e, ok := registry.ReadAnnounced(p, pid, self)
	if !ok || e.PID != pid || e.Module != "m" || e.State != registry.StateWait {
		t.Errorf("heard %+v, %v", e, ok)
	}
	if _, ok := registry.ReadAnnounced(p, pid, proc.File{Dev: 1, Ino: 1}); ok {
		t.Error("another program was listened to")
	}
	s := (&observe.Observer{Proc: p}).Look(nil, false)
	if got := s.Entries[pid]; got == nil || got.Token != e.Token {
		t.Errorf("not among the entries: %+v", got)
	}
	other := announcer(t, "SAFELOAD_TEST_NOBODY=1")
	if e, ok := registry.ReadAnnounced(p, other, self); ok {
		t.Errorf("what another user says is believed: %+v", e)
	}
	if o, err := p.Outline(other, other); err != nil || o.User <= 0 || o.User == int64(unix.Geteuid()) {
		t.Errorf("another user is asked what he has open: %d, %v", o.User, err)
	}
}
