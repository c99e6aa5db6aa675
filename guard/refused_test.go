// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"

	"safeload/guard/graph"
)

// TestRefusedLine: each kind of refusal is one line, whatever the names in it are.
func TestRefusedLine(t *testing.T) {
	chain := graph.Chain{{PID: 200, TID: 200, Comm: "modprobe", Module: "m"}, {PID: 100, TID: 101, Comm: "a\nb"}}
	const hops = "200 (modprobe m) -> 100 thread 101 (a\\x0ab) -> 200"
	for _, tt := range []struct {
		r    Refused
		want string
	}{
		{Refused{Module: "m", Request: "al\x7fias", PID: 200, Owner: 100, Chain: chain},
			"safeload: refused m (request al\\x7fias): pid 200 would wait for pid 100, which loads it and waits for this request: " + hops},
		{Refused{Module: "m", Request: "m", PID: 200, Owner: 100, Suspected: true, Chain: chain},
			"safeload: refused m (request m): suspected, nothing has moved: pid 200 would wait for pid 100, which loads it and waits for this request: " + hops},
		{Refused{Module: "m", Request: "m", PID: 200, Owner: 100, By: 7, Chain: chain},
			"safeload: refused m (request m): pid 200, of a command that pid 7 runs, is ended: it would wait for pid 100, which loads it and waits for this request: " + hops},
		{Refused{Module: "m", Request: "m", PID: 200, Owner: 100, Command: "install", Chain: chain},
			"safeload: refused m (request m): its install command leads back to itself: pid 100 runs it already and waits for this request: " + hops},
		{Refused{Module: "m", Request: "m", PID: 200, Dead: true},
			"safeload: refused m (request m): nobody runs its init any more, an oops has ended the task that did (see the kernel's log); reboot to load it"},
	} {
		if got := tt.r.Error(); got != tt.want {
			t.Errorf("%q\nwant %q", got, tt.want)
		}
	}
}
