// SPDX-License-Identifier: Apache-2.0

package unpackexec

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"safeload/finit"
	"safeload/finit/unpack"
	"safeload/internal/kmodtest"
)

// The test program stands for cmd/safeload-unpack when it is called so.
func TestMain(m *testing.M) {
	if os.Getenv(hardenedVariable) != "" {
		os.Exit(hardened())
	}
	if os.Args[0] == "safeload-unpack" {
		if err := unpack.Copy(os.Stdout, os.Stdin, finit.Gzip, finit.MaxImage); err != nil {
			os.Exit(10 + int(damageOf(err)))
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func run(t *testing.T, packed []byte) ([]byte, error) {
	t.Helper()
	return runUmask(t, packed, 0o022)
}

func runUmask(t *testing.T, packed []byte, umask int) ([]byte, error) {
	t.Helper()
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "m.ko.gz")
	if err := os.WriteFile(file, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer syscall.Umask(syscall.Umask(umask))
	return Run(string(program), int(f.Fd()), finit.Gzip)
}

func TestRun(t *testing.T) {
	want := bytes.Repeat([]byte("module "), 1<<19)
	packed := kmodtest.Gzip(t, want, gzip.DefaultCompression)
	got, err := run(t, packed)
	if err != nil {
		t.Fatal(err)
	}
	defer finit.Unmap(got)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back of %d, or others", len(got), len(want))
	}
	packed[len(packed)-8] ^= 0xff
	if _, err := run(t, packed); damageOf(err) != finit.GzipCheck || !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a file with a wrong checksum: %v, want that", err)
	}
}

func TestRunWithoutProgram(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Run("not a program", int(f.Fd()), finit.XZ); !errors.Is(err, syscall.ENOEXEC) {
		t.Errorf("got %v, want ENOEXEC", err)
	}
}

// Each of the ways must do when it is the only one.
func TestWays(t *testing.T) {
	all := ways
	defer func() { ways = all }()
	dir := t.TempDir()
	for _, w := range append(all[:len(all):len(all)], way{name: dir, make: inDir, disk: true}) {
		t.Run(w.name, func(t *testing.T) {
			ways = []way{w}
			before := descriptors(t)
			got, err := runUmask(t, kmodtest.Gzip(t, []byte("module"), gzip.DefaultCompression), 0o777)
			if now := descriptors(t); now != before {
				t.Errorf("%d descriptors are open, before there were %d", now, before)
			}
			var h *finit.Hindered
			if errors.As(err, &h) && w.name != "a memfd" {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer finit.Unmap(got)
			if string(got) != "module" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestHindered(t *testing.T) {
	all := ways
	defer func() { ways = all }()
	refuse := func(err error) func(*way, string) (int, error) {
		return func(*way, string) (int, error) { return -1, failed{"try", err} }
	}
	file := kmodtest.Gzip(t, []byte("module"), gzip.DefaultCompression)
	ways = []way{{name: "one", make: refuse(syscall.EACCES)}, all[0]}
	if got, err := run(t, file); err != nil || string(got) != "module" {
		t.Errorf("with a way left: %q, %v", got, err)
	}
	ways = []way{{name: "one", make: refuse(syscall.EACCES)}, {name: "two", make: refuse(syscall.EROFS)}}
	_, err := run(t, file)
	if !errors.As(err, new(*finit.Hindered)) || !errors.Is(err, syscall.EACCES) {
		t.Fatalf("got %v, want what hinders it, as EACCES", err)
	}
	for _, part := range []string{"one: try: permission denied", "two: try: read-only file system", "uncompressed"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// vm.memfd_noexec is that of a pid namespace, and is never lowered.
const hardenedVariable = "SAFELOAD_TEST_HARDENED"

func TestMemfdNoexec(t *testing.T) {
	if _, err := os.Stat("/proc/sys/vm/memfd_noexec"); err != nil {
		t.Skipf("a kernel before 6.3: %v", err)
	}
	file := filepath.Join(t.TempDir(), "m.ko.gz")
	if err := os.WriteFile(file, kmodtest.Gzip(t, []byte("module"), gzip.DefaultCompression), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), hardenedVariable+"="+file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || cmd.ProcessState.ExitCode() == 77 {
		t.Skipf("no pid namespace, or no setting of its own: %v %s", err, out)
	}
	if err != nil {
		t.Errorf("under vm.memfd_noexec=2: %v: %s", err, out)
	}
}

// hardened is the first process of that namespace.
func hardened() int {
	file := os.Getenv(hardenedVariable)
	os.Unsetenv(hardenedVariable)
	_ = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if syscall.Mount("proc", "/proc", "proc", 0, "") != nil ||
		os.WriteFile("/proc/sys/vm/memfd_noexec", []byte("2"), 0) != nil {
		return 77
	}
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return 77
	}
	if fd, err := memfd(nil, ""); err == nil {
		os.Stderr.WriteString("memfd_create is not refused\n")
		syscall.Close(fd)
		return 1
	}
	f, err := os.Open(file)
	if err != nil {
		return 77
	}
	defer f.Close() // without it the collector may close the descriptor
	got, err := Run(string(program), int(f.Fd()), finit.Gzip)
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	if string(got) != "module" {
		os.Stderr.WriteString("unpacked " + string(got) + "\n")
		return 1
	}
	return 0
}

// damageOf finds the damage in an error, 0 if there is none.
func damageOf(err error) finit.Damage {
	d, _ := errors.AsType[finit.Damage](err)
	return d
}
