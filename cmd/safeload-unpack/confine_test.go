// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "safeload-unpack")
	cmd := exec.Command("go", "build", "-o", file, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as scripts/build.sh
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

// While it waits for the file's bytes, no thread of it has a capability.
func TestConfined(t *testing.T) {
	file := build(t)
	cmd := exec.Command(file, "zstd")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("module ", 1000)
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := w.EncodeAll([]byte(want), nil)
	// That it has confined itself is seen by its first read, which comes after.
	if _, err := in.Write(packed[:1]); err != nil {
		t.Fatal(err)
	}
	proc := "/proc/" + strconv.Itoa(cmd.Process.Pid)
	reads := func() bool {
		call, err := os.ReadFile(proc + "/syscall")
		return err == nil && strings.HasPrefix(string(call), strconv.Itoa(syscall.SYS_READ)+" 0x0 ")
	}
	for end := time.Now().Add(20 * time.Second); !reads(); {
		if time.Now().After(end) {
			t.Fatal("it does not come to reading")
		}
		time.Sleep(time.Millisecond)
	}
	threads, err := filepath.Glob(proc + "/task/*/status")
	if err != nil || len(threads) == 0 {
		t.Fatal(threads, err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
			if !strings.Contains(string(status), line+"\n") {
				t.Errorf("%s has no %q: %s", thread, line, status)
			}
		}
	}
	limits, err := os.ReadFile(proc + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Max data size": "536870912", "Max file size": "0", "Max core file size": "0"} {
		_, rest, _ := strings.Cut(string(limits), name)
		if f := strings.Fields(rest); len(f) < 2 || f[0] != value || f[1] != value {
			t.Errorf("%s: %q, want %s", name, f, value)
		}
	}
	if _, err := in.Write(packed[1:]); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil || out.String() != want {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
}

var pattern = bytes.Repeat([]byte("0123456789abcdef"), 1<<16/16)

// repeated reads as the pattern, again and again until it has size bytes. In memory as a whole these would be gigabytes, under
// the race detector.
type repeated struct{ at, size int }

func (r *repeated) Read(p []byte) (int, error) {
	if r.at == r.size {
		return 0, io.EOF
	}
	rest := pattern[r.at%16:]
	n := copy(p, rest[:min(len(rest), r.size-r.at)])
	r.at += n
	return n, nil
}

// Write takes only what would be read.
func (r *repeated) Write(p []byte) (int, error) {
	written, part := 0, make([]byte, len(pattern))
	for written < len(p) {
		n, err := r.Read(part[:min(len(part), len(p)-written)])
		if err == nil && !bytes.Equal(part[:n], p[written:written+n]) {
			err = errors.New("not what was packed")
		}
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// The largest windows that are taken fit into the limit.
func TestLargest(t *testing.T) {
	file := build(t)
	const size = 160 << 20
	for format, compress := range map[string][]string{
		"zstd": {"zstd", "-1", "--long=27", "-c", "--stream-size=" + strconv.Itoa(size)},
		"xz":   {"xz", "-0", "--lzma2=preset=0,dict=128MiB", "-c"},
	} {
		if _, err := exec.LookPath(compress[0]); err != nil {
			t.Logf("%s is not here, and its window is not tried", compress[0])
			continue
		}
		pack := exec.Command(compress[0], compress[1:]...)
		pack.Stdin = &repeated{size: size}
		packed, err := pack.Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(file, format)
		cmd.Stdin = bytes.NewReader(packed)
		got := &repeated{size: size}
		cmd.Stdout = got
		if err := cmd.Run(); err != nil || got.at != size {
			t.Errorf("%s: %d bytes of %d, %v", format, got.at, size, err)
		}
	}
}
