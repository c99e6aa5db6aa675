// SPDX-License-Identifier: Apache-2.0

package unpackexec

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"safeload/finit"
	"safeload/finit/unpack"
)

// The test program stands for cmd/safeload-unpack when it is called so.
func TestMain(m *testing.M) {
	if os.Args[0] == "safeload-unpack" {
		if err := unpack.Copy(os.Stdout, os.Stdin, finit.Gzip, finit.MaxImage); err != nil {
			os.Exit(10 + int(finit.DamageOf(err)))
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func run(t *testing.T, packed []byte) ([]byte, error) {
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
	return Run(string(program), int(f.Fd()), finit.Gzip)
}

func TestRun(t *testing.T) {
	want := bytes.Repeat([]byte("module "), 1<<19)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(want)
	_ = w.Close()

	got, err := run(t, b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer finit.Unmap(got)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back of %d, or others", len(got), len(want))
	}
	packed := b.Bytes()
	packed[len(packed)-8] ^= 0xff
	if _, err := run(t, packed); finit.DamageOf(err) != finit.GzipCheck || !errors.Is(err, syscall.EINVAL) {
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
