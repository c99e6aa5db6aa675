// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestSignals: with an entry that spares the runtime its signals, one ends the
// helper as it ends a C program, and one that was inherited as ignored still is.
func TestSignals(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "modprobe")
	build := exec.Command("go", "build", "-tags", "safeload_spare", "-ldflags", "-checklinkname=0 -E safeload/internal/nowhere.start", "-o", program, ".")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// The command ends when its standard input does.
	if err := os.WriteFile(filepath.Join(dir, "a.conf"), []byte("install slow echo begun; read _ || :\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(prefix string, sig syscall.Signal) syscall.WaitStatus {
		cmd := exec.Command("sh", "-c", prefix+`exec "$@"`, "sh", program, "-C", dir, "-d", dir, "-S", "v", "slow")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, w := io.Pipe()
		cmd.Stdout, cmd.Stderr = w, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "begun\n" {
			t.Fatalf("the command says %q, %v", line, err)
		}
		go func() { _, _ = io.Copy(io.Discard, out) }()
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = in.Close()
		_ = cmd.Wait()
		_ = w.Close()
		return cmd.ProcessState.Sys().(syscall.WaitStatus)
	}
	for name, sig := range map[string]syscall.Signal{
		"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "PROF": syscall.SIGPROF, "ALRM": syscall.SIGALRM, "34": 34,
	} {
		if ws := run("", sig); !ws.Signaled() || ws.Signal() != sig {
			t.Errorf("SIG%s: ends with %x, want death by it", name, ws)
		}
		if ws := run("trap '' "+name+"; ", sig); !ws.Exited() || ws.ExitStatus() != 0 {
			t.Errorf("SIG%s, inherited as ignored: ends with %x, want 0", name, ws)
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGURG, syscall.SIGWINCH, syscall.SIGCONT} {
		if ws := run("", sig); !ws.Exited() || ws.ExitStatus() != 0 {
			t.Errorf("%v: ends with %x, want 0", sig, ws)
		}
	}
}
