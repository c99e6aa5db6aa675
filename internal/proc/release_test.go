// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"os"
	"strings"
	"testing"
)

func TestRelease(t *testing.T) {
	want, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Skipf("no release to compare with: %v", err)
	}
	if got, err := Release(); err != nil || got != strings.TrimSpace(string(want)) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"6.5": true, "6.5.0-1-arm64": true, "6.5-rc1": true, "6.12.95+deb12-armmp": true, "7.0.0": true,
		"6.4.99": false, "5.15.0": false, "6": false, "": false, "six.5": false, "6.x": false,
	} {
		if got := atLeast([]byte(release), 6, 5); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}
