// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"os"
	"path/filepath"
	"testing"

	"safeload/internal/proc"
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
