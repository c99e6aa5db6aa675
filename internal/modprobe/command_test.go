// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMeanwhile: who looks is called while the command runs, as often as he
// wants, and no more when he wants no more; the command's status is its own.
func TestMeanwhile(t *testing.T) {
	stop := filepath.Join(t.TempDir(), "stop")
	until := "while [ ! -e " + stop + " ]; do sleep 0.01; done; exit 3"
	calls := 0
	status, err := system(until, os.Environ(), func() int {
		if calls++; calls == 5 {
			if err := os.WriteFile(stop, nil, 0o600); err != nil {
				t.Error(err)
			}
			return -1
		}
		return 1
	})
	if err != nil || status>>8 != 3 || calls != 5 {
		t.Errorf("status %#x, %v after %d calls", status, err, calls)
	}
	// The end of the command is noticed at once, not when it is time to look.
	calls = 0
	status, err = system("exit 4", os.Environ(), func() int { calls++; return 1 << 30 })
	if err != nil || status>>8 != 4 || calls != 1 {
		t.Errorf("status %#x, %v after %d calls", status, err, calls)
	}
	if status, err = system("exit 5", os.Environ(), nil); err != nil || status>>8 != 5 {
		t.Errorf("status %#x, %v", status, err)
	}
}
