// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
)

// TestMemory: what stays in the kernel is less than 2 MiB on a machine of four CPUs, as this kernel counts it.
func TestMemory(t *testing.T) {
	// The kernel has something for each of its own CPUs in most maps.
	if n, err := ebpf.PossibleCPU(); err != nil || n > 4 {
		t.Skipf("this machine has more CPUs: %d, %v", n, err)
	}
	for _, cpus := range []int{1, 2, 4} {
		spec, err := loadProbe()
		if err != nil {
			t.Fatal(err)
		}
		spec.Maps[probeMapEvents].MaxEntries = stayingRing
		makeRoom(spec.Maps, cpus)
		sum := uint64(aboutSize)
		for name, m := range spec.Maps {
			sum += memory(t, name, m)
		}
		t.Logf("%d CPUs: %d bytes", cpus, sum)
		if sum >= 2<<20 {
			t.Errorf("%d CPUs: the maps of a probe that stays take %d bytes", cpus, sum)
		}
	}
}

func memory(t *testing.T, name string, spec *ebpf.MapSpec) uint64 {
	m, err := ebpf.NewMap(spec)
	if err != nil {
		t.Skipf("this kernel does not let us make BPF maps: %s: %v", name, err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	n, ok := info.Memlock()
	if !ok {
		t.Skip("this kernel does not tell the size of a map")
	}
	return n
}
