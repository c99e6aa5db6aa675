// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"os"
	"path/filepath"
	"testing"

	"safeload/internal/proc"
	"safeload/internal/registry"
)

// TestNamed: a thread bears the name of a module if it begins with it, unless
// it is another's that is there.
func TestNamed(t *testing.T) {
	dir := t.TempDir()
	for _, m := range []string{"snd", "snd_hda"} {
		if err := os.MkdirAll(filepath.Join(dir, "module", m), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "module", m, "initstate"), []byte("live\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sys, err := proc.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	now := &Waits{Snapshot: &Snapshot{sys: sys}}
	for _, tt := range []struct {
		name, module string
		want         bool
	}{
		{"snd", "snd", true}, {"snd/0", "snd", true}, {"snd0", "snd", true}, {"snd:irq", "snd", true},
		{"snd-hda", "snd", false}, {"snd_hda/1", "snd", false}, {"snd-worker", "snd", true}, {"sndx", "snd", false},
		{"usb-storage", "usb_storage", true}, {"sg1", "sg", false}, {"sg", "sg", true}, {"x_snd", "snd", false},
		{"a_module_with_a", "a_module_with_a_long_name", true}, {"a_module_with", "a_module_with_a_long_name", false},
		{"", "snd", false},
	} {
		if got := now.nameBelongsTo(tt.name, tt.module); got != tt.want {
			t.Errorf("%q as a name of %s: %v, want %v", tt.name, tt.module, got, tt.want)
		}
	}
}

// TestNameOfTheHeld: a file that could not be read while its task was held is read
// when it can be; one that was read is not read again.
func TestNameOfTheHeld(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "m.ko")
	for path, text := range map[string]string{
		"m.ko":        "not an image",
		"modules":     "other 16384 1 - Loading 0x0\n",
		"100/status":  "Name:\tx\nState:\tR (running)\nPid:\t100\nPPid:\t1\nUid:\t0\t0\t0\t0\nThreads:\t1\nCapEff:\t000001ffffffffff\n",
		"100/fd/none": "",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"100/fd/3": file, "self": "/proc/self"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := proc.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	names := make(map[registry.Inode]string)
	look := func(p *proc.FS) {
		task := &Task{PID: 100, Module: "m", guessed: true}
		task.Call.Args[0] = 3
		s := &Snapshot{Proc: p, names: names, Tasks: map[int]*Task{100: task}}
		s.unpackNames(nil)
	}
	release := make(chan struct{})
	defer close(release)
	p.Bounded(func(p *proc.FS) {
		p.Ask(100, func() { <-release }) // the look is begun anew, and 100 is not asked
		look(p)
	})
	if len(names) != 0 {
		t.Errorf("%v is known, of a file that could not be read", names)
	}
	free, err := proc.OpenDir(dir) // knows of nobody who is held
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	if free.Bounded(look); len(names) != 1 {
		t.Errorf("%v is known, of a file that was read", names)
	}
}
