// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"safeload/internal/kmodtest"
	"safeload/internal/treefile"
	"safeload/kmod"
)

// hostileVariable names a tree that the test program audits instead of testing.
const hostileVariable = "SAFELOAD_TEST_HOSTILE"

func TestMain(m *testing.M) {
	dir := os.Getenv(hostileVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	config := kmod.New(kmod.Options{Dir: dir, Cmdline: os.DevNull, Regular: true,
		ConfigPaths: []string{filepath.Join(dir, "modprobe.d")}}).Config
	res, err := Run(context.Background(), Options{Dir: dir, Config: config})
	if err != nil {
		os.Stdout.WriteString("error: " + err.Error() + "\n")
		os.Exit(1)
	}
	for _, err := range res.Failed {
		os.Stdout.WriteString("failed: " + err.Error() + "\n")
	}
	status, _ := os.ReadFile("/proc/self/status")
	for l := range strings.Lines(string(status)) {
		if strings.HasPrefix(l, "VmHWM:") {
			os.Stdout.WriteString(l)
		}
	}
	os.Exit(0)
}

// zeros compresses n of them.
func zeros(t *testing.T, kind string, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	chunk := make([]byte, 1<<20)
	switch kind {
	case "zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		for range n >> 20 {
			w.Write(chunk)
		}
		w.Close()
	case "gz", "xz": // by their programs: under the race detector, gzip's package takes half a minute
		program, err := exec.LookPath(map[string]string{"gz": "gzip", "xz": "xz"}[kind])
		if err != nil {
			t.Skip(err)
		}
		cmd := exec.Command(program, "-9", "-c")
		cmd.Stdin = &repeated{chunk, n}
		cmd.Stdout = &b
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

type repeated struct {
	chunk []byte
	left  int
}

func (r *repeated) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := min(copy(b, r.chunk), r.left)
	r.left -= n
	return n, nil
}

// A stranger's tree neither holds the audit up nor fills the memory.
func TestStrangersTree(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(at("modprobe.d"), 0o700))
	must(unix.Mkfifo(at("modules.softdep"), 0o600))
	must(os.Symlink("/dev/zero", at("modules.weakdep")))
	must(unix.Mkfifo(at("modules.builtin.modinfo"), 0o600))
	must(unix.Mkfifo(at("modprobe.d/a.conf"), 0o600))
	must(os.Symlink("/dev/zero", at("modprobe.d/b.conf")))
	must(unix.Mkfifo(at("modules.alias.bin"), 0o600))
	must(unix.Mkfifo(at("pipe.ko"), 0o600))
	must(os.Symlink("/dev/zero", at("zero.ko")))
	must(os.WriteFile(at("sparse.ko"), []byte("\x7fELF"), 0o600))
	must(os.Truncate(at("sparse.ko"), 1<<40))
	bombs := 1
	for _, kind := range []string{"zst", "gz", "xz"} {
		bomb := zeros(t, kind, 256<<20)
		for i := range 4 {
			bombs++
			must(os.WriteFile(at("bomb"+kind+strconv.Itoa(i)+".ko."+kind), bomb, 0o600))
		}
	}
	exe, err := os.Executable()
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), hostileVariable+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := strings.Count(string(out), "failed: "); n != bombs+1 { // and modules.builtin.modinfo
		t.Errorf("%d are named as failed, want %d", n, bombs+1)
	}
	_, hwm, _ := strings.Cut(string(out), "VmHWM:")
	kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(hwm), "kB")))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%d MB at most", kb>>10)
	if kb > kmodtest.Shadow*512<<10 {
		t.Errorf("it took %d MB", kb>>10)
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// A compressed module with a window that modules do not have is still read.
func TestLargeWindow(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("some module "), 1<<20)
	w.Write(want)
	w.Close()
	file := filepath.Join(t.TempDir(), "m.ko.zst")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	d := newReader(newMemory(totalMemory))
	for range 2 { // the second must not wait for what the first took
		got, err := d.read(file)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes of %d, %v", len(got), len(want), err)
		}
		d.release()
	}
	if d.memory.free != totalMemory {
		t.Errorf("%d are free of %d", d.memory.free, totalMemory)
	}
	if _, err := d.read(filepath.Dir(file)); !errors.Is(err, treefile.ErrNotRegular) {
		t.Errorf("a directory: %v", err)
	}
}

func TestMemory(t *testing.T) {
	m := newMemory(100)
	var held atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 200 {
				n := m.take(int64(i * 13)) // some want more than there is
				if held.Add(n) > 100 {
					t.Error("more is held than there is")
				}
				held.Add(-n)
				m.give(n)
			}
		})
	}
	wg.Wait()
	if m.free != 100 {
		t.Errorf("%d are free in the end", m.free)
	}
}
