// SPDX-License-Identifier: Apache-2.0

package kmod

import "testing"

func TestPlainCommand(t *testing.T) {
	for text, want := range map[string]bool{
		"modprobe m": true, "/sbin/modprobe -q --ignore-install m a=1,2 b=c": true, "exec /usr/sbin/modprobe m": true,
		" \tmodprobe\tm": true, "": false, "modprobe": false, "true": false, "insmod /m.ko": false, "xmodprobe m": false,
		"modprobe m; true": false, "modprobe $X": false, "modprobe m || :": false, "modprobe m\nmodprobe n": false,
		"A=b modprobe m": false, "modprobe \"m\"": false, "modprobe m*": false, "modprobe m &": false, "modprobe m >f": false,
	} {
		if got := PlainCommand(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
