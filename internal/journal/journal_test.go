// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen is a journal that reads only when it is told to.
func listen(t *testing.T, path string) (fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func receive(t *testing.T, fd int) string {
	t.Helper()
	b := make([]byte, 1<<12)
	n, err := unix.Read(fd, b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestSend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	fd := listen(t, path)
	s := Sender{Path: path}
	defer s.Close()
	if err := s.Send("one line", Info, map[string]string{"B": "two\nMESSAGE=lines", "A": "x=y"}); err != nil {
		t.Fatal(err)
	}
	want := "MESSAGE=one line\nPRIORITY=6\nA=x=y\nB\n\x11\x00\x00\x00\x00\x00\x00\x00two\nMESSAGE=lines\n"
	if got := receive(t, fd); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// A journal that is started anew has another socket by the same name.
	unix.Close(fd)
	if err := s.Send("nobody", Info, nil); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("to nobody: %v", err)
	}
	if err := unix.Unlink(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Send("nobody", Info, nil); !errors.Is(err, unix.ENOENT) {
		t.Errorf("to nowhere: %v", err)
	}
	fd = listen(t, path)
	defer unix.Close(fd)
	if err := s.Send("again", Info, nil); err != nil || receive(t, fd) != "MESSAGE=again\nPRIORITY=6\n" {
		t.Errorf("again: %v", err)
	}
}

// TestFull: a journal that reads nothing is waited for asleep, and not for ever.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	fd := listen(t, path)
	defer unix.Close(fd)
	s := Sender{Path: path, Timeout: time.Second}
	defer s.Close()
	for n := 0; ; n++ {
		before := spent(t)
		if err := s.Send("x", Info, nil); err != nil {
			if !errors.Is(err, unix.EAGAIN) || n == 0 {
				t.Fatalf("after %d: %v", n, err)
			}
			if cost := spent(t) - before; cost > 300*time.Millisecond {
				t.Errorf("a second's wait took %v of a processor", cost)
			}
			return
		}
		if n > 1<<16 {
			t.Fatal("the queue has no end")
		}
	}
}

func spent(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
