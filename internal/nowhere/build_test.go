// SPDX-License-Identifier: Apache-2.0

package nowhere

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"safeload/internal/bare"
)

var architectures = []string{"amd64", "arm", "arm64"}

// build links the helper as scripts/build.sh does, but with its symbols.
func build(t *testing.T, arch, tags string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "modprobe-"+arch)
	cmd := exec.Command("go", "build", "-trimpath", "-tags", tags, "-ldflags", "-E safeload/internal/nowhere.start",
		"-o", program, "safeload/cmd/safeload-modprobe")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOARM=6", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build for %s: %v\n%s", arch, err, out)
	}
	return program
}

// outside returns the calls that the contract does not allow, of all that can
// be reached from start.
func outside(t *testing.T, program string) (bad []string, seen map[string]bool) {
	t.Helper()
	return bare.Outside(t, program, "safeload/internal/(nowhere|syntax)", "safeload/internal/nowhere.start",
		bare.Harmless{Name: `safeload/internal/entry\.startHelper`, Why: "the normal start: not ours any more"})
}

// TestCallGraph: see the package's contract.
func TestCallGraph(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs for three architectures: not with -short")
	}
	for _, arch := range architectures {
		t.Run(arch, func(t *testing.T) {
			bad, seen := outside(t, build(t, arch, "safeload_embed_none"))
			for _, b := range bad {
				t.Error(b)
			}
			for _, f := range []string{"nowhere.answer", "nowhere.(*question).nowhere", "nowhere.sys", "syntax.Fnmatch", "syntax.(*Walk).Node"} {
				if !seen["safeload/internal/"+f] && !inlined(f, seen) {
					t.Errorf("the walk has not come to %s, so it does not see what is called", f)
				}
			}
			// The check itself: the planted bugs call what may not be called.
			bad, _ = outside(t, build(t, arch, "safeload_plant"))
			all := strings.Join(bad, "\n")
			for _, want := range []string{"growslice", "gopanic", "indirect: "} {
				if !strings.Contains(all, want) {
					t.Errorf("of the planted bugs the check does not find %s; it finds\n%s", want, all)
				}
			}
		})
	}
}

// inlined allows for a function that the compiler has put into its caller.
func inlined(f string, seen map[string]bool) bool {
	return strings.HasPrefix(f, "nowhere.(*question)") && seen["safeload/internal/nowhere.answer"]
}

// TestFaults: a bug costs time, not a module. The other architectures' programs
// run by qemu-user.
func TestFaults(t *testing.T) {
	root := t.TempDir()
	tree := filepath.Join(root, "lib/modules/v")
	config := filepath.Join(root, "config")
	for _, dir := range []string{tree, config} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Names that the normal start finds: it says so with 0.
	if err := os.WriteFile(filepath.Join(config, "a.conf"), []byte("install plant_* /bin/true\nalias plant_* found\ninstall found /bin/true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, arch := range architectures {
		emulator := map[string]string{"amd64": "qemu-x86_64-static", "arm": "qemu-arm-static", "arm64": "qemu-aarch64-static"}[arch]
		if arch == runtime.GOARCH {
			emulator = ""
		} else if _, err := exec.LookPath(emulator); err != nil {
			t.Fatalf("%v: the package qemu-user-static is needed", err)
		}
		program := build(t, arch, "safeload_plant")
		run := func(name string, limit string) (code int, output string) {
			args := []string{program, "-q", "-n", "-d", root, "-S", "v", "-C", config, "--", name}
			if emulator != "" {
				args = append([]string{emulator}, args...)
			}
			cmd := exec.Command("sh", append([]string{"-c", "ulimit -s " + limit + `; exec "$@"`, "sh"}, args...)...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			return cmd.ProcessState.ExitCode(), out.String()
		}
		if code, out := run("plant_control", "8192"); code != 42 {
			t.Errorf("%s: nothing is planted: %d %s", arch, code, out)
		}
		// A signal in the middle: one that would end a C program as well, one that
		// nobody would notice, and one that looks like a fault.
		if code, out := run("plant_term", "8192"); code != -1 && code != 128+int(syscall.SIGTERM) {
			t.Errorf("%s: SIGTERM does not end it: %d %s", arch, code, out)
		}
		if code, out := run("plant_urg", "8192"); code != 42 {
			t.Errorf("%s: it does not go on after SIGURG: %d %s", arch, code, out)
		}
		for _, bug := range []string{"segv", "nil", "bounds", "slice", "division", "stack", "allocation", "panic", "call", "write"} {
			limit := "8192"
			if bug == "stack" {
				limit = "256"
			}
			if code, out := run("plant_"+bug, limit); code != 0 || !strings.Contains(out, "install /bin/true") {
				t.Errorf("%s: a planted bug (%s) ends with %d: %s", arch, bug, code, out)
			}
		}
	}
}

// TestBare: the answer comes before the runtime where there is next to nothing.
// That the runtime starts is seen by what it prints of its initialisers.
func TestBare(t *testing.T) {
	program := build(t, runtime.GOARCH, "safeload_embed_none")
	root := t.TempDir()
	if err := os.Link(program, filepath.Join(root, "modprobe")); err != nil {
		t.Fatal(err)
	}
	ask := func(prefix string, bare bool, args ...string) (code int, output string) {
		cmd := exec.Command("sh", append([]string{"-c", prefix + `exec "$@"`, "sh", program}, args...)...)
		cmd.Env = []string{"GODEBUG=inittrace=1", "PATH=" + os.Getenv("PATH")}
		if bare { // no /etc, /lib/modules, /proc, /sys, /dev
			cmd.Path, cmd.Args = "/modprobe", append([]string{"modprobe"}, args...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
			cmd.Dir = "/"
			if os.Geteuid() != 0 {
				cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
			}
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), out.String()
	}
	const started = "init runtime"
	config := t.TempDir()
	tree := []string{"-q", "-d", config, "-S", "v", "-C", config, "--", "nothing"}
	for _, c := range []struct {
		what, prefix string
		bare         bool
		args         []string
	}{
		{"nothing unusual", "", false, tree},
		{"an empty root", "", true, []string{"-q", "--", "nothing"}},
		{"no standard input and output", "exec 0<&- 1>&-; ", false, tree},
		{"a stack of 64 KiB", "ulimit -s 64; ", false, tree},
		{"a stack without limit", "ulimit -s unlimited; ", false, tree},
		{"60 MB of addresses", "ulimit -v 60000; ", false, tree},
		{"40 MB to write to", "ulimit -d 40000; ", false, tree},
		{"no memory that may be locked", "ulimit -l 0; ", false, tree},
	} {
		if code, out := ask(c.prefix, c.bare, c.args...); code != 1 || out != "" {
			t.Errorf("%s: ends with %d: %s", c.what, code, out)
		}
	}
	// What cannot be read is left to the normal start.
	for _, c := range []struct {
		what, prefix string
		bare         bool
		args         []string
		code         int
	}{
		{"another option", "", false, append([]string{"-a"}, tree...), 1},
		{"another option in an empty root", "", true, []string{"-a", "-q", "--", "nothing"}, 1},
		{"no descriptors to be had", "ulimit -n 3; ", false, tree, 1},
	} {
		if code, out := ask(c.prefix, c.bare, c.args...); code != c.code || !strings.Contains(out, started) {
			t.Errorf("%s: ends with %d, and the runtime does not say that it starts: %s", c.what, code, out)
		}
	}
}
