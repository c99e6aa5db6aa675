// SPDX-License-Identifier: Apache-2.0

package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"safeload/internal/program"
	"safeload/internal/treefile"
)

// trial is a modprobe to be tried: as the kernel starts it, and on the module trees
// of the system. A trial loads nothing.
type trial struct {
	root string // of the system it is for
	path string // within root
	like string // a modprobe of the system whose answers it must give; or empty
	// old is one of another make, perhaps kept under another name: it is
	// called modprobe, and asked for less.
	old bool
}

// A name that no module has, and what the kernel gives a helper (call_modprobe
// in kernel/module/kmod.c).
const noModule = "safeload-trial-no-such-module"

var kernelEnv = []string{"HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"}

// Limits of a trial.
const (
	trialTime  = 20 * time.Second
	trialNames = 24
)

// try runs the modprobe. Of an image it runs nothing and only checks that the file
// is there: anybody may have written an image's programs. chroot(2) does not hold a
// program with root's rights, and one without capabilities could still open a device
// by a node of the image, or signal root's processes.
func try(t trial) error {
	// Check this before it is started: for a program of an unknown format the kernel
	// may start the present helper.
	if err := t.startable(); err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	if t.root != "/" {
		return nil
	}
	if !t.old {
		out, code, err := t.run("-V")
		if err != nil || code != 0 || !strings.Contains(string(out), "kmod version") {
			return fmt.Errorf("%s -V: %s", t.path, outcome(out, code, err))
		}
	}
	if err := t.asHelper(); err != nil {
		return err
	}
	return t.compare()
}

func (t trial) startable() error {
	by := program.System{Resolve: func(p string) string { return resolve(t.root, p) }}
	if t.root == "/" { // what is for an image may be mounted otherwise there
		by.Machines, by.Mounted = program.Machines(), true
	}
	return by.Check(t.path)
}

func (t trial) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, t.path)
	c.Args = append([]string{t.path}, args...)
	if t.old {
		c.Args[0] = "modprobe"
	}
	c.Env, c.Dir = kernelEnv, "/"
	c.WaitDelay = time.Second // for who of its children has the output open
	return c
}

func (t trial) run(args ...string) (out []byte, code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), trialTime)
	defer cancel()
	c := t.command(ctx, args...)
	out, err = c.CombinedOutput()
	if errors.Is(err, exec.ErrWaitDelay) { // it ended well, and left somebody
		err = nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return out, exit.ExitCode(), nil
	}
	return out, 0, err
}

func outcome(out []byte, code int, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("exit %d, %q", code, firstLine(out))
}

func firstLine(b []byte) string {
	l, _, _ := bytes.Cut(b, []byte("\n"))
	return string(l)
}

// asHelper starts it as the kernel does, without any open descriptor, for a name
// that does not exist. The exit code must be 1.
func (t trial) asHelper() error {
	c := t.command(context.Background(), "-q", "--", noModule)
	p, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{Dir: c.Dir, Env: c.Env, Files: nil})
	if err != nil {
		return err
	}
	timer := time.AfterFunc(trialTime, func() { _ = p.Kill() })
	defer timer.Stop()
	s, err := p.Wait()
	if err != nil {
		return err
	}
	if !s.Exited() || s.ExitCode() == 0 || s.ExitCode() > 1 && !t.old {
		return fmt.Errorf("%s -q -- %s, started as the kernel does: %v, not exit status 1", t.path, noModule, s)
	}
	return nil
}

// compare asks both modprobes which files they would load for some modules of each
// tree.
func (t trial) compare() error {
	if t.like == "" {
		return nil
	}
	old := trial{root: t.root, path: t.like, old: true}
	all := inRoot(t.root, "/lib/modules/")
	trees, _ := os.ReadDir(all)
	for _, tree := range trees {
		version := tree.Name()
		text, err := treefile.Read(filepath.Join(all, version, "modules.dep"), maxFile)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return err
		}
		names := sample(string(text))
		if len(names) == 0 {
			continue
		}
		args := append([]string{"-D", "-a", "-S", version}, names...)
		want, wantCode, err := old.run(args...)
		if err != nil || wantCode != 0 {
			continue // no measure to hold it to
		}
		got, code, err := t.run(args...)
		if err != nil || code != wantCode || !bytes.Equal(got, want) {
			return fmt.Errorf("%s and %s disagree on the modules of %s: %s against %s", t.path, t.like, version,
				outcome(differing(got, want), code, err), outcome(differing(want, got), wantCode, nil))
		}
	}
	return nil
}

// differing returns a from the first line that is not b's.
func differing(a, b []byte) []byte {
	for {
		la, ra, ok := bytes.Cut(a, []byte("\n"))
		lb, rb, _ := bytes.Cut(b, []byte("\n"))
		if !bytes.Equal(la, lb) || !ok {
			return a
		}
		a, b = ra, rb
	}
}

// sample returns module names from all parts of a modules.dep.
func sample(text string) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	step := max(1, len(lines)/trialNames)
	var names []string
	for i := 0; i < len(lines); i += step {
		path, _, ok := strings.Cut(lines[i], ":")
		if name, _, _ := strings.Cut(filepath.Base(path), "."); ok && name != "" {
			names = append(names, name)
		}
	}
	return names
}
