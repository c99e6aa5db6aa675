// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/internal/proc"
)

// TestMain plays the other invocation: the same program, without a registry.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SAFELOAD_TEST_ANNOUNCE"); dir != "" {
		g := New(Options{Request: "x", Dir: dir, Log: func(string) {}})
		g.publish(entry{state: stateWait, module: "m"})
		os.Stdout.WriteString("ready\n")
		bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAnnounced(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "SAFELOAD_TEST_ANNOUNCE=/nowhere/safeload")
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
	defer func() { in.Close(); _ = cmd.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	p, err := proc.OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	self, err := p.Exe(unix.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	e, ok := announced(p, cmd.Process.Pid, self)
	if !ok || e.pid != cmd.Process.Pid || e.module != "m" || e.state != stateWait {
		t.Errorf("heard %+v, %v", e, ok)
	}
	if _, ok := announced(p, cmd.Process.Pid, proc.File{Dev: 1, Ino: 1}); ok {
		t.Error("another program was listened to")
	}
	s := (&observer{proc: p}).look(nil, false)
	if got := s.entries[cmd.Process.Pid]; got == nil || got.token != e.token {
		t.Errorf("not among the entries: %+v", got)
	}
}
