// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/internal/proc"
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
			g.identify()
			_ = g.reg.announce(entry{pid: g.self.pid, start: g.self.start, state: stateWait, module: "m", token: newToken()})
		}
		g.publish(entry{state: stateWait, module: "m"})
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
	e, ok := announced(p, pid, self)
	if !ok || e.pid != pid || e.module != "m" || e.state != stateWait {
		t.Errorf("heard %+v, %v", e, ok)
	}
	if _, ok := announced(p, pid, proc.File{Dev: 1, Ino: 1}); ok {
		t.Error("another program was listened to")
	}
	s := (&observer{proc: p}).look(nil, false)
	if got := s.entries[pid]; got == nil || got.token != e.token {
		t.Errorf("not among the entries: %+v", got)
	}
	other := announcer(t, "SAFELOAD_TEST_NOBODY=1")
	if e, ok := announced(p, other, self); ok {
		t.Errorf("what another user says is believed: %+v", e)
	}
	if uid, ok := p.EffectiveUser(other); !ok || uid == unix.Geteuid() {
		t.Errorf("another user is asked what he has open: %d, %v", uid, ok)
	}
}

// A memfd that could be executed is refused by vm.memfd_noexec=2.
func TestAnnounceSealed(t *testing.T) {
	if _, err := os.Stat("/proc/sys/vm/memfd_noexec"); err != nil {
		t.Skipf("a kernel before 6.3: %v", err)
	}
	r := registry{fd: -1}
	if err := r.announce(entry{pid: 1, state: stateCommand, token: newToken()}); err != nil {
		t.Fatal(err)
	}
	defer r.withdraw()
	const sealExec = 0x20 // F_SEAL_EXEC
	if seals, err := unix.FcntlInt(uintptr(r.memory), unix.F_GET_SEALS, 0); err != nil || seals&sealExec == 0 {
		t.Errorf("seals %#x, %v: it may be executed", seals, err)
	}
}
