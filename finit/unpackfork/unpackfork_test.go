// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package unpackfork

import (
	"bytes"
	"compress/gzip"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/internal/bare"
)

// TestMain has the tests run without the race detector, which knows no child
// without a runtime: as a program of its own.
func TestMain(m *testing.M) {
	if !race {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "unpackfork")
	if err == nil {
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "test")
		for _, args := range [][]string{{"go", "test", "-c", "-vet=off", "-o", file, "."}, append([]string{file}, os.Args[1:]...)} {
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			if err = cmd.Run(); err != nil {
				break
			}
		}
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func pack(t testing.TB, data []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("xz", append([]string{"-c"}, args...)...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t testing.TB, data []byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "m.ko.xz"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	return f
}

func code(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return data[:200_000]
}

func TestRun(t *testing.T) {
	data := code(t)
	for _, way := range [][]string{{"-C", "crc32"}, {"-C", "crc64"}, {"-C", "sha256"}, {"--x86", "--lzma2"}, {"--ia64", "--delta", "--lzma2"}} {
		f := write(t, pack(t, data, way...))
		got, err := Run(int(f.Fd()), finit.XZ)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%v: %d bytes, %v", way, len(got), err)
		}
		finit.Unmap(got)
	}
	if got, err := Run(int(write(t, pack(t, nil)).Fd()), finit.XZ); err != nil || len(got) != 0 {
		t.Errorf("nothing: %d bytes, %v", len(got), err)
	} else {
		finit.Unmap(got)
	}
}

func gzipped(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	w.Name, w.Extra, w.Comment = "m.ko", []byte("more"), "a module"
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGzip(t *testing.T) {
	data := code(t)
	for _, level := range []int{gzip.NoCompression, gzip.BestSpeed, gzip.BestCompression, gzip.HuffmanOnly} {
		got, err := Run(int(write(t, gzipped(t, data, level)).Fd()), finit.Gzip)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("level %d: %d bytes, %v", level, len(got), err)
		}
		finit.Unmap(got)
	}
	whole := gzipped(t, data, 9)
	flipped := bytes.Clone(whole)
	flipped[len(whole)/2] ^= 1
	larger := bytes.Clone(whole)
	larger[len(whole)-1] = 0xff
	for name, b := range map[string][]byte{"two members": append(bytes.Clone(whole), whole...), "half": whole[:len(whole)/2],
		"damaged": flipped, "of a false size": larger, "none": []byte("no gzip, but long enough to be one")} {
		if got, err := Run(int(write(t, b).Fd()), finit.Gzip); err != ErrCannot {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestZstd(t *testing.T) {
	data := code(t)
	pack := func(b []byte, options ...zstd.EOption) []byte {
		w, err := zstd.NewWriter(nil, options...)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		return w.EncodeAll(b, nil)
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		got, err := Run(int(write(t, pack(data, zstd.WithEncoderLevel(level))).Fd()), finit.Zstd)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("level %v: %d bytes, %v", level, len(got), err)
		}
		finit.Unmap(got)
	}
	whole := pack(data)
	flipped := bytes.Clone(whole)
	flipped[len(whole)/2] ^= 1
	for name, b := range map[string][]byte{"two frames": append(bytes.Clone(whole), whole...), "half": whole[:len(whole)/2],
		"damaged": flipped, "nothing in it": pack(nil, zstd.WithZeroFrames(true)), "of a size that is not said": pack(data[:100]),
		"none": []byte("\x28\xb5\x2f\xfd")} {
		if got, err := Run(int(write(t, b).Fd()), finit.Zstd); err != ErrCannot {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// The child can be made at any time, whatever other threads do.
func TestBeside(t *testing.T) {
	data := code(t)
	f := write(t, pack(t, data))
	file := f.Name()
	stop := make(chan struct{})
	var busy, runs sync.WaitGroup
	for range 3 {
		busy.Go(func() { // collects garbage
			for {
				select {
				case <-stop:
					return
				default:
					_ = bytes.Repeat(data[:1000], 100)
				}
			}
		})
	}
	for range 4 {
		runs.Go(func() {
			f, err := os.Open(file)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for range 25 {
				got, err := Run(int(f.Fd()), finit.XZ)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				finit.Unmap(got)
			}
		})
	}
	runs.Wait()
	close(stop)
	busy.Wait()
}

// TestCallGraph: see the contract of internal/nowhere.
func TestCallGraph(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs for three architectures: not with -short")
	}
	for _, arch := range []string{"amd64", "arm", "arm64"} {
		program := filepath.Join(t.TempDir(), arch)
		cmd := exec.Command("go", "test", "-c", "-vet=off", "-o", program, ".")
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOARM=6", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go test -c for %s: %v\n%s", arch, err, out)
		}
		bad, seen := bare.Outside(t, program, "safeload/(finit/unpackfork|internal/inflate|internal/xz|internal/zstd)", "safeload/finit/unpackfork.decode",
			bare.Harmless{Name: `runtime\.mem(move|clrNoHeapPointers)`, Why: "plain assembly, which looks at what the processor has"},
			bare.Harmless{Name: `syscall\.RawSyscall6`, Why: "as after any fork: syscall.forkAndExecInChild"})
		for _, b := range bad {
			t.Error(arch, b)
		}
		for _, f := range []string{"Decoder).Decode", "lzma).chunk", "rc.distance", "x86", "sha256", "code).next", "Decoder).execute", "huffman).decode",
			"zstd.sum"} {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(s string) bool { return strings.HasSuffix(s, f) }) {
				t.Errorf("%s: the walk has not come to %s", arch, f)
			}
		}
	}
}

func TestDamage(t *testing.T) {
	packed := pack(t, code(t))
	flipped := bytes.Clone(packed)
	flipped[len(packed)/2] ^= 1
	for want, b := range map[error][]byte{finit.XZFormat: []byte("no xz"), finit.XZEnd: packed[:len(packed)/2], finit.XZData: flipped} {
		if got, err := Run(int(write(t, b).Fd()), finit.XZ); err != want {
			t.Errorf("%d bytes, %v, want %v", len(got), err, want)
		}
	}
}

// A child that faults leaves nothing, and the caller finds another way.
func TestFault(t *testing.T) {
	mapped := func(size, protection, flags int) []byte {
		b, err := unix.Mmap(-1, 0, size, protection, flags|unix.MAP_ANONYMOUS)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Munmap(b) })
		return b
	}
	out := mapped(1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	bad := mapped(1<<16, unix.PROT_NONE, unix.MAP_PRIVATE)
	if n, err := run(out, bad, finit.XZ, 1<<15, 1<<15); err != ErrCannot {
		t.Errorf("%d, %v", n, err)
	}
}

// What the kernel says of a child that decompresses.
func TestConfined(t *testing.T) {
	packed := pack(t, make([]byte, 250<<20), "-0", "-C", "crc64") // that takes it long enough to be looked at
	f := write(t, packed)
	done := make(chan error, 1)
	go func() {
		got, err := Run(int(f.Fd()), finit.XZ)
		finit.Unmap(got)
		done <- err
	}()
	var child, status string
	for !strings.Contains(status, "Seccomp:\t1") {
		select {
		case err := <-done:
			t.Fatalf("it ended (%v), and was not seen confined: %s", err, status)
		default:
		}
		lists, _ := filepath.Glob("/proc/self/task/*/children")
		for _, list := range lists {
			if pids, _ := os.ReadFile(list); len(pids) > 0 {
				child = "/proc/" + strings.Fields(string(pids))[0]
				b, _ := os.ReadFile(child + "/status")
				status = string(b)
			}
		}
	}
	for _, line := range []string{"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Threads:\t1"} {
		if !strings.Contains(status, line+"\n") {
			t.Errorf("no %q: %s", line, status)
		}
	}
	if files, err := os.ReadDir(child + "/fd"); err != nil || len(files) != 0 {
		t.Errorf("descriptors: %v, %v", files, err)
	}
	limits, err := os.ReadFile(child + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Max address space", "Max file size", "Max core file size", "Max open files"} {
		_, rest, _ := strings.Cut(string(limits), name)
		if f := strings.Fields(rest); len(f) < 2 || f[0] != "0" || f[1] != "0" {
			t.Errorf("%s: %q", name, f)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
