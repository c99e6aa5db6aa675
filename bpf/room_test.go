// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
)

// However many CPUs there are, an LRU map that must not forget keeps its newest.
func TestMakeRoom(t *testing.T) {
	for _, cpus := range []int{1, 2, 3, 4, 8, 64, 256} {
		spec, err := loadProbe()
		if err != nil {
			t.Fatal(err)
		}
		before := make(map[string]uint32)
		for name, m := range spec.Maps {
			before[name] = m.MaxEntries
		}
		makeRoom(spec.Maps, cpus)
		for name, m := range spec.Maps {
			n, must := mustKeep[name]
			switch {
			case m.MaxEntries < before[name]:
				t.Errorf("%d CPUs: %s shrinks to %d", cpus, name, m.MaxEntries)
			case !must && m.MaxEntries != before[name]:
				t.Errorf("%d CPUs: %s has %d entries", cpus, name, m.MaxEntries)
			case must && m.Type != ebpf.LRUHash:
				t.Errorf("%s forgets nothing: it is a %v", name, m.Type)
			case must && m.MaxEntries-lruBatch*uint32(cpus+1) < n:
				t.Errorf("%d CPUs: %s has %d entries, may forget one of %d", cpus, name, m.MaxEntries, n)
			}
		}
		if cpus <= 2 && before[probeMapSubs] != spec.Maps[probeMapSubs].MaxEntries {
			t.Errorf("%d CPUs: the maps of a small board grow", cpus)
		}
	}
}

// What is an LRU map and not in mustKeep may forget: a circle's claim, and who is
// to be stopped at an open; and who asked: his lock is then seen later.
func TestForgetful(t *testing.T) {
	spec, err := loadProbe()
	if err != nil {
		t.Fatal(err)
	}
	may := map[string]bool{probeMapClaims: true, probeMapDoomed: true, probeMapAskers: true}
	for name, m := range spec.Maps {
		if _, must := mustKeep[name]; m.Type == ebpf.LRUHash && must == may[name] {
			t.Errorf("%s: decide whether it may forget", name)
		}
	}
}
