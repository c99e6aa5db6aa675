// SPDX-License-Identifier: Apache-2.0

//go:build vmtest

package bpf

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
)

// TestMissedEnd: a load whose end the probe did not see, here because the link that
// sees it was removed, is in flight until its thread loads again, and not for ever.
func TestMissedEnd(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, _, err := Load(PinDir, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = Unload(PinDir) }()
	dir := filepath.Join(PinDir, pinnedName)
	m, err := openMaps(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	fd, err := unix.MemfdCreate("safeload-test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	load := func() (inFlight int) {
		_ = unix.FinitModule(fd, "", 0) // refused, an empty file
		if err := each(m.Loads, layout.LoadSize, func(_, b []byte) {
			if int(binary.LittleEndian.Uint32(b[layout.LoadTID:])) == unix.Gettid() {
				inFlight++
			}
		}); err != nil {
			t.Fatal(err)
		}
		return inFlight
	}
	if n := load(); n != 0 {
		t.Fatalf("%d loads are in flight after their end", n)
	}
	// The second hook is the end of finit_module: see hooks.
	if hooks[1].prog != probeProgExitFinit {
		t.Fatalf("the second hook is %s", hooks[1].prog)
	}
	if err := os.Remove(filepath.Join(dir, layout.Link+"1")); err != nil {
		t.Fatal(err)
	}
	// The kernel lets go of it when it has time.
	for end := time.Now().Add(time.Minute); load() == 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
	}
	for i := range 3 {
		if n := load(); n != 1 {
			t.Errorf("load %d without the link: %d are in flight, want the last one", i, n)
		}
	}
	if p := find(t); p == nil || p.Fault == "" {
		t.Errorf("without a link: %+v", p)
	}
}
