// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFileSize(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, nil, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Prlimit(0, unix.RLIMIT_FSIZE, &before, nil) })
	if before.Max != unix.RLIM_INFINITY {
		t.Fatalf("the hard limit is %d here: nothing can be lifted", before.Max)
	}
	const given = 100 * 512
	small := unix.Rlimit{Cur: given, Max: before.Max}
	if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, &small, nil); err != nil {
		t.Fatal(err)
	}
	var now unix.Rlimit
	for _, c := range []struct {
		size int64
		want uint64
	}{{given, given}, {given + 1, unix.RLIM_INFINITY}} {
		if err := FileSize(c.size); err != nil {
			t.Errorf("%d bytes: %v", c.size, err)
		}
		if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, nil, &now); err != nil || now.Cur != c.want {
			t.Errorf("%d bytes: the limit is %d, %v", c.size, now.Cur, err)
		}
	}
	Given(func() {
		out, err := exec.Command("sh", "-c", "ulimit -f").Output() // in units of 512 bytes, or of 1024
		if n := strings.TrimSpace(string(out)); err != nil || n != "100" && n != "50" {
			t.Errorf("what is started has %q, %v", out, err)
		}
	})
	if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, nil, &now); err != nil || now.Cur != unix.RLIM_INFINITY {
		t.Errorf("then the limit is %d, %v", now.Cur, err)
	}
}

// TestOthers: what is started gets each limit back, those that somebody else has lifted too, and this process keeps what it has.
func TestOthers(t *testing.T) {
	var before, now unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_CORE, nil, &before); err != nil {
		t.Fatal(err)
	}
	given := unix.Rlimit{Cur: 0, Max: before.Max}
	lifted := unix.Rlimit{Cur: min(before.Max, 1<<20), Max: before.Max}
	if err := unix.Prlimit(0, unix.RLIMIT_CORE, &lifted, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Prlimit(0, unix.RLIMIT_CORE, &before, nil) })
	Given(func() {
		if err := unix.Prlimit(0, unix.RLIMIT_CORE, nil, &now); err != nil || now != given {
			t.Errorf("what is started has %+v, %v", now, err)
		}
	}, Limit{unix.RLIMIT_CORE, given}, Limit{-1, given})
	if err := unix.Prlimit(0, unix.RLIMIT_CORE, nil, &now); err != nil || now != lifted {
		t.Errorf("then the limit is %+v, %v", now, err)
	}
}
