// SPDX-License-Identifier: Apache-2.0

package entry_test

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestEntries starts a program by each of the entry points. The other
// architectures' are started by the guests of scripts/vm-test.sh.
func TestEntries(t *testing.T) {
	for _, entry := range []string{"start", "startHelper"} {
		program := filepath.Join(t.TempDir(), entry)
		build := exec.Command("go", "build", "-ldflags", "-E safeload/internal/entry."+entry, "-o", program, "./testdata/show")
		build.Env = append(build.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		slack, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, 30 /* PR_GET_TIMERSLACK */, 0, 0)
		line := "slack " + strconv.Itoa(int(slack)) + "\n"
		procs := "1"
		if entry == "start" {
			procs = ""
		}
		for _, c := range []struct {
			name      string
			args, env []string
			procs     string
		}{
			{"nothing", nil, []string{}, procs},
			{"arguments", []string{"-q", "--", "a b"}, []string{"HOME=/", "TERM=linux"}, procs},
			{"odd number of words", []string{"x", "y"}, []string{"A=1", "B=2", "C="}, procs},
			{"own GOMAXPROCS", []string{"x"}, []string{"GOMAXPROCS=2", "Z=1"}, "2"},
			{"GOMAXPROCS=1 last", nil, []string{"Z=1", "GOMAXPROCS=1"}, "1"},
			{"child", []string{"child"}, []string{}, procs},
		} {
			t.Run(entry+"/"+c.name, func(t *testing.T) {
				var want strings.Builder
				for _, a := range c.args {
					want.WriteString("arg " + a + "\n")
				}
				for _, e := range c.env {
					want.WriteString("env " + e + "\n")
				}
				// A program, and a child of it, is as late as what started it.
				want.WriteString(line)
				if c.name == "child" {
					want.WriteString(line)
				}
				cmd := &exec.Cmd{Path: program, Args: append([]string{"show"}, c.args...), Env: c.env}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				got, n, _ := strings.Cut(string(out), "procs ")
				if got != want.String() {
					t.Errorf("got\n%swant\n%s", got, want.String())
				}
				if n = strings.TrimSpace(n); c.procs != "" && n != c.procs {
					t.Errorf("%s processors, want %s (of %d)", n, c.procs, runtime.NumCPU())
				}
			})
		}
	}
}
