// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestFileSize(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_FSIZE, &before) })
	if err := FileSize(1 << 40); before.Cur == unix.RLIM_INFINITY && err != nil {
		t.Errorf("without a limit: %v", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 100, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int64]error{0: nil, 100: nil, 101: unix.EFBIG} {
		if err := FileSize(size); err != want {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
	}
}
