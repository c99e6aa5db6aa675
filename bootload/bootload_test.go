// SPDX-License-Identifier: Apache-2.0

package bootload

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestConfigured(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/usr/lib/modules-load.d/b.conf", "vendor\n")
	put(t, root+"/etc/modules-load.d/b.conf", "# mine\n  loop \n; no\n\ndummy") // in the place of the other
	put(t, root+"/run/modules-load.d/a.conf", "nbd\n")
	put(t, root+"/run/modules-load.d/a.txt", "no\n")
	put(t, root+"/usr/lib/modules-load.d/c.conf", "no\n")
	if err := os.Symlink("/dev/null", root+"/etc/modules-load.d/c.conf"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(root+"/etc/modules-load.d/d.conf", 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Configured(root)
	if want := []string{"nbd", "loop", "dummy"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	put(t, root+"/etc/modules-load.d/e.conf", strings.Repeat("x", maxFile+1))
	if got, err := Configured(root); err == nil || len(got) != 3 {
		t.Errorf("with a file without end: %q, %v", got, err)
	}
}

func TestCommandLine(t *testing.T) {
	const line = `quiet modules_load=a,b,,c rd.modules_load=early "modules-load=d" other="modules_load=no x" modules_load` + "\n"
	if got, want := CommandLine(line, false), []string{"a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := CommandLine(line, true), []string{"a", "b", "c", "early", "d"}; !slices.Equal(got, want) {
		t.Errorf("in an initramfs %q, want %q", got, want)
	}
}

func TestAliases(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/pci0/modalias", "pci:v1\n")
	put(t, dir+"/pci0/uevent", "DRIVER=x\nMODALIAS=pci:v1\n")
	put(t, dir+"/pci1/modalias", "pci:v1\n")
	put(t, dir+"/pci1/usb/uevent", "MODALIAS=usb:v2\n")
	put(t, dir+"/pci1/empty/modalias", "\n")
	got, err := Aliases(dir)
	if want := []string{"pci:v1", "usb:v2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if _, err := Aliases(dir + "/none"); err == nil {
		t.Error("no error without /sys")
	}
}

// scripted is a Runner whose modprobe is a shell script.
func scripted(t *testing.T, script string) (*Runner, *bytes.Buffer) {
	var out bytes.Buffer
	dir := t.TempDir()
	return &Runner{Output: &out, Command: func(name string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", script, name)
		cmd.Dir = dir
		return cmd
	}}, &out
}

// Two run at once, or the first would wait for ever for the second; each once, and
// a failure stops no other.
func TestRun(t *testing.T) {
	r, out := scripted(t, `echo "$0" >>log; mkfifo pipe 2>/dev/null
case $0 in first) read -r x <pipe;; second) echo x >pipe;; bad) echo no such thing >&2; exit 1;; esac`)
	r.Most = 2
	failed := r.Run([]string{"bad", "first", "a-b", "a_b", "second", "last"})
	if !slices.Equal(failed, []string{"bad"}) || out.String() != "no such thing\n" {
		t.Errorf("failed: %q, said %q", failed, out)
	}
	log, _ := os.ReadFile(r.Command("").Dir + "/log")
	if n := strings.Count(string(log), "\n"); n != 5 {
		t.Errorf("%d loads: %q", n, log)
	}
}

// What is to stay in order does, whatever runs beside it.
func TestInOrder(t *testing.T) {
	r, _ := scripted(t, `mkdir lock 2>/dev/null || exit 1; echo "$0" >>log; rmdir lock`)
	r.InOrder, r.Most = []string{"x-1", "x_2", "x3"}, 8
	names := []string{"x_1", "x-2", "x3"}
	if failed := r.Run(names); failed != nil {
		t.Errorf("failed: %q", failed)
	}
	if log, _ := os.ReadFile(r.Command("").Dir + "/log"); string(log) != "x_1\nx-2\nx3\n" {
		t.Errorf("order: %q", log)
	}
}

// What the guard refused is tried again when the others are done, and nothing else is.
func TestRefused(t *testing.T) {
	r, out := scripted(t, `echo "$0" >>log
case $0 in bad) exit 1;; one) [ -e tried ] || { : >tried; echo "safeload: refused one (request x): y" >&2; exit 1; };; esac`)
	if failed := r.Run([]string{"one", "bad", "two"}); !slices.Equal(failed, []string{"bad"}) ||
		!strings.HasPrefix(out.String(), "safeload: one waited") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("failed: %q, said %q", failed, out)
	}
	log, _ := os.ReadFile(r.Command("").Dir + "/log")
	if lines := strings.Fields(string(log)); len(lines) != 4 || lines[3] != "one" {
		t.Errorf("loads: %q", log)
	}
}

// A module that finds no device has failed for modules-load, and not for coldplug.
func TestDeclined(t *testing.T) {
	const script = `case $0 in
none) echo "modprobe: ERROR: could not insert 'none': No such device" >&2; exit 1;;
both) printf "modprobe: ERROR: could not insert 'both': No such device\nmodprobe: ERROR: something else\n" >&2; exit 1;;
mute) exit 1;; esac`
	for declined, want := range map[bool][]string{false: {"none", "both", "mute"}, true: {"both", "mute"}} {
		r, out := scripted(t, script)
		r.Declined = declined
		failed := r.Run([]string{"none", "both", "mute", "good"})
		if !slices.Equal(failed, want) || strings.Contains(out.String(), "'none'") == declined {
			t.Errorf("declined %v: failed %q, said %q", declined, failed, out)
		}
	}
}
