// SPDX-License-Identifier: Apache-2.0

package entry_test

import (
	"os"
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
			{"child of a late thread", []string{"late"}, []string{}, procs},
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
				switch {
				case c.args == nil:
				case c.args[0] == "child", c.args[0] == "late" && entry == "startHelper":
					want.WriteString(line)
				case c.args[0] == "late":
					want.WriteString("slack 7000000\n") // it has not changed any
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

// TestHugePages: a program may have huge pages, or not, as what started it.
func TestHugePages(t *testing.T) {
	const set, get = 41, 42 // PR_SET_THP_DISABLE, PR_GET_THP_DISABLE
	had, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, get, 0, 0)
	if errno != 0 {
		t.Skipf("PR_GET_THP_DISABLE: %v", errno)
	}
	t.Cleanup(func() { _, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, set, had, 0) })
	program := filepath.Join(t.TempDir(), "show")
	build := exec.Command("go", "build", "-ldflags", "-E safeload/internal/entry.startHelper", "-o", program, "./testdata/show")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, never := range []uintptr{0, 1} {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, set, never, 0); errno != 0 {
			t.Fatal(errno)
		}
		out, err := exec.Command(program, "huge").Output()
		if want := strconv.Itoa(int(never)); err != nil || string(out) != want {
			t.Errorf("PR_GET_THP_DISABLE is %q, want %q (%v)", out, want, err)
		}
	}
}

// TestLimits: a program starts under limits of memory that Go's runtime cannot
// live with, and what it starts is under them again.
func TestLimits(t *testing.T) {
	program := filepath.Join(t.TempDir(), "show")
	build := exec.Command("go", "build", "-ldflags", "-E safeload/internal/entry.startHelper", "-o", program, "./testdata/show")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	hard := "-S" // to raise a hard limit again needs CAP_SYS_RESOURCE
	if exec.Command("bash", "-c", "ulimit -SH -v 200000; ulimit -SH -v unlimited").Run() == nil {
		hard = "-SH"
	}
	for _, c := range []struct{ set, want string }{
		{"ulimit -S -v unlimited", "unlimited unlimited unlimited unlimited"},
		{"ulimit " + hard + " -v 20000", "20000 20000 unlimited unlimited"},
		{"ulimit " + hard + " -d 4000", "unlimited unlimited 4000 4000"},
		{"ulimit -S -v 30000; ulimit -S -d 3000", "30000 unlimited 3000 unlimited"},
	} {
		cmd := exec.Command("bash", "-c", c.set+`; exec "$0" limits`, program)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v\n%s", c.set, err, out)
			continue
		}
		got := strings.Join(strings.Fields(string(out)), " ")
		if hard == "-S" {
			c.want = strings.NewReplacer("20000 20000", "20000 unlimited", "4000 4000", "4000 unlimited").Replace(c.want)
		}
		if got != c.want {
			t.Errorf("%s: a child has %q, want %q", c.set, got, c.want)
		}
	}
}

// TestFallback: where there is not even the memory that Go's runtime begins
// with, kmod does what was asked for, and one line says so.
func TestFallback(t *testing.T) {
	least := "60000"
	if runtime.GOARCH == "arm" {
		least = "20000"
	}
	if _, err := exec.LookPath("kmod"); err != nil {
		t.Fatalf("%v: the package kmod is needed", err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "show")
	build := exec.Command("go", "build", "-ldflags", "-E safeload/internal/entry.startHelper", "-o", program, "./testdata/show")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// Without the right to raise the limit again.
	cmd := exec.Command("bash", "-c", "ulimit -SH -v "+least+`; exec "$0" --version`, program)
	if os.Geteuid() == 0 {
		for _, d := range []string{dir, filepath.Dir(dir)} { // both made by TempDir, for us alone
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "kmod version ") {
		t.Errorf("%v: %q, want kmod's version", err, out)
	}
	if want := "safeload: guard: too little memory can be had to start; loading by kmod, unguarded\n"; said.String() != want {
		t.Errorf("it says %q, want %q", said.String(), want)
	}
}

// TestDescriptors: the limit of descriptors that the entry takes away for a
// moment is there again, for the program and for what it starts.
func TestDescriptors(t *testing.T) {
	program := filepath.Join(t.TempDir(), "show")
	build := exec.Command("go", "build", "-ldflags", "-E safeload/internal/entry.startHelper", "-o", program, "./testdata/show")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// With three and less a shell does not start.
	for _, limits := range []struct{ soft, hard, want string }{
		{"64", "100", "64 100 true"}, {"100", "100", "100 100 true"}, {"4", "100", "4 100 true"},
		{"3", "100", "true"}, {"3", "3", "false"}, {"2", "100", "true"},
	} {
		cmd := exec.Command("bash", "-c", "exec 3>&- 4>&- 5>&-; ulimit -S -n "+limits.soft+" && ulimit -H -n "+limits.hard+` && exec "$0" files`, program)
		out, err := cmd.Output()
		got := strings.Join(strings.Fields(string(out)), " ")
		if err != nil || got != limits.want {
			t.Errorf("a limit of %s and %s: %v: a child and the program have %q, want %q", limits.soft, limits.hard, err, got, limits.want)
		}
	}
}
