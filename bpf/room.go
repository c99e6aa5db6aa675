// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"github.com/cilium/ebpf"

	"safeload/bpf/layout"
)

// lruBatch is how many entries of an LRU map the kernel keeps apart for each CPU
// (LOCAL_FREE_TARGET in kernel/bpf/bpf_lru_list.c): free ones that no other CPU
// takes before it has thrown away its own newest, and as many at once are thrown
// away when there is no room. So a map of 512 forgets what was put into it a moment
// ago as soon as five CPUs use it.
const lruBatch = 128

// requestsKept is more than twice the module requests that the kernel lets be in
// flight at once (kmod_concurrent_max).
const requestsKept = 128

// mustKeep is how many of its newest entries an LRU map must not have forgotten,
// for what is not in it is taken for what never was.
var mustKeep = map[string]uint32{
	probeMapKthreads: layout.SpawnsKept, probeMapWorks: layout.SpawnsKept, probeMapDelays: layout.SpawnsKept,
	probeMapStrays: requestsKept, probeMapWorking: requestsKept, probeMapSubs: requestsKept,
	probeMapCalls: requestsKept, probeMapAsked: requestsKept,
}

// makeRoom makes the maps that must not forget large enough for this many CPUs.
func makeRoom(maps map[string]*ebpf.MapSpec, cpus int) {
	for name, n := range mustKeep {
		m := maps[name]
		m.MaxEntries = max(m.MaxEntries, n+lruBatch*uint32(cpus+1))
	}
}
