// SPDX-License-Identifier: Apache-2.0

//go:build vmtest

package bpf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
	"safeload/internal/version"
)

// loadAndDie is a loader that ends, as by SIGKILL, right after a step.
func loadAndDie(at string) {
	version.Version = os.Getenv("SAFELOAD_TEST_VERSION")
	step = func(s string) {
		fmt.Println(s)
		if s == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if dir := os.Getenv("SAFELOAD_TEST_LENT"); dir != "" {
		openStaying = func() (*Probe, error) { return lent(dir) }
	}
	if _, _, err := Load(PinDir, 0); err != nil {
		fmt.Println("cannot load:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// lentDir has the links and maps of a probe that is attached for all loaders that are killed: to attach one takes three
// seconds of an emulated ARM, and what is at stake is how it is pinned. Only the owner, which says whether a probe is
// one, is each one's own.
const lentDir = "/sys/fs/bpf/safeload-lent"

func lend(t *testing.T) {
	t.Helper()
	p, err := Open(Options{stays: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.pinAll(lentDir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(lentDir) })
}

// lent has the descriptors anew: the library moves the pin of what it knows to be pinned.
func lent(dir string) (*Probe, error) {
	m, err := openMaps(dir)
	if err != nil {
		return nil, err
	}
	if m.Creating, err = ebpf.LoadPinnedMap(filepath.Join(dir, "creating"), nil); err != nil {
		return nil, err
	}
	for _, p := range []**ebpf.Map{&m.Tasks, &m.Loads, &m.Requests, &m.Names, &m.Flags, &m.Creating, &m.Config, &m.Lost, &m.Events, &m.Ring} {
		if *p, err = (*p).Clone(); err != nil {
			return nil, err
		}
	}
	if m.Owner, err = ebpf.NewMap(&ebpf.MapSpec{Name: "owner", Type: ebpf.Array, KeySize: 4, ValueSize: layout.OwnerSize, MaxEntries: 1}); err != nil {
		return nil, err
	}
	p := &Probe{maps: *m, spawns: true, wakes: true}
	for {
		pinned, err := link.LoadPinnedLink(filepath.Join(dir, layout.Link+strconv.Itoa(len(p.links))), nil)
		if errors.Is(err, os.ErrNotExist) {
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		fd, err := unix.FcntlInt(uintptr(pinned.(interface{ FD() int }).FD()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		l, err := link.NewFromFD(fd)
		if err != nil {
			return nil, err
		}
		p.links = append(p.links, l)
	}
}

// killedAt lets another process load the probe as some version's, to be killed
// after a step; empty: to come to its end. It returns the steps. Two are killed with a probe of their own.
func killedAt(t *testing.T, as, at string) []string {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "SAFELOAD_TEST_TASK=pin", "SAFELOAD_TEST_AT="+at, "SAFELOAD_TEST_VERSION="+as)
	if at != "" && at != "exchange" && !(as == "first" && at == "link-9") {
		c.Env = append(c.Env, "SAFELOAD_TEST_LENT="+lentDir)
	}
	out, err := c.Output()
	var ee *exec.ExitError
	switch {
	case at == "" && err != nil:
		t.Fatalf("load: %v, %s", err, out)
	case at != "" && (!errors.As(err, &ee) || !ee.Sys().(syscall.WaitStatus).Signaled()):
		t.Fatalf("it was to be killed after %s: %v, %s", at, err, out)
	}
	return strings.Fields(string(out))
}

// pins are the names in [PinDir].
func pins(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(PinDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func find(t *testing.T) *Pinned {
	t.Helper()
	p, err := Find(PinDir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// some of the steps: each with STEPS=all in the environment, three with few.
func some(steps []string) (use []string) {
	if os.Getenv("STEPS") == "all" {
		return steps
	}
	want := map[string]bool{"link-9": true, "rename": true, "exchange": true}
	if os.Getenv("STEPS") == "few" {
		return slices.DeleteFunc(slices.Clone(steps), func(s string) bool { return !want[s] })
	}
	want = map[string]bool{"mkdir": true, "link-9": true, "tasks": true, "owner": true, "rename": true, "exchange": true, "retire": true, "going": true}
	for _, s := range steps {
		if want[s] {
			use = append(use, s)
		}
	}
	return use
}

// TestKilled: wherever a loader is killed there is a whole probe or none, and
// the next load leaves one, and nothing beside it.
func TestKilled(t *testing.T) {
	if _, err := Unload(PinDir); err != nil {
		t.Fatal(err)
	}
	lend(t)
	steps := killedAt(t, "first", "")
	if p := find(t); p == nil || p.Fault != "" || p.Version != "first" {
		t.Fatalf("after a load: %+v", p)
	}
	if _, err := Unload(PinDir); err != nil {
		t.Fatal(err)
	}
	for _, at := range some(steps) {
		killedAt(t, "first", at)
		p := find(t)
		if ready := at == "rename"; (p != nil) != ready || ready && (p.Fault != "" || !linked(t, p)) {
			t.Errorf("killed after %s: %+v, in the directory %q", at, p, pins(t))
		}
	}
	// The last one was ready: it stays, and another version takes its place.
	if steps := killedAt(t, "first", ""); len(steps) > 0 {
		t.Errorf("a second load did something: %q", steps)
	}
	began := time.Now()
	upgrade := killedAt(t, "second", "")
	t.Logf("an upgrade took %v", time.Since(began))
	if p := find(t); p == nil || p.Fault != "" || p.Version != "second" || !linked(t, p) {
		t.Fatalf("after an upgrade: %+v", p)
	}
	for i, at := range some(upgrade) {
		before := find(t).Version
		as := fmt.Sprint("upgrade-", i)
		killedAt(t, as, at)
		p, want := find(t), before
		if at == "exchange" || at == "retire" || at == "going" {
			want = as
		}
		if p == nil || p.Fault != "" || p.Version != want || !linked(t, p) {
			t.Errorf("an upgrade killed after %s: %+v, in the directory %q; want version %s", at, p, pins(t), want)
		}
	}
	killedAt(t, "last", "")
	if p := find(t); p == nil || p.Fault != "" || p.Version != "last" {
		t.Errorf("after all: %+v", p)
	}
	if names := pins(t); len(names) != 1 {
		t.Errorf("killed loaders' leavings: %q", names)
	}
	// What no longer has all its links is believed by nobody, and replaced.
	if err := os.Remove(filepath.Join(PinDir, pinnedName, "link-3")); err != nil {
		t.Fatal(err)
	}
	if p := find(t); p == nil || p.Fault == "" {
		t.Errorf("without a link: %+v", p)
	}
	killedAt(t, "last", "")
	if p := find(t); p == nil || p.Fault != "" {
		t.Errorf("loaded again over a damaged one: %+v", p)
	}
	if had, err := Unload(PinDir); !had || err != nil || len(pins(t)) != 0 {
		t.Errorf("unload: %v, %v; left %q", had, err, pins(t))
	}
}

// linked reports whether all links of a probe are pinned.
func linked(t *testing.T, p *Pinned) bool {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(PinDir, pinnedName, "link-*"))
	return err == nil && len(links) == p.Links && p.Links > 20
}
