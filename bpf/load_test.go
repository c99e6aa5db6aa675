// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// The verifier of the machine that runs the tests must take every program. Not
// being allowed to ask it is a reason to skip, its saying no is not.
func TestVerifier(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("loading BPF programs needs root (CAP_BPF and CAP_PERFMON)")
	}
	for _, load := range []func() (*ebpf.CollectionSpec, error){loadProbe, loadPhase} {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		verify(t, spec)
	}
}

func verify(t *testing.T, spec *ebpf.CollectionSpec) {
	for name := range spec.Programs {
		t.Run(name, func(t *testing.T) {
			one := spec.Copy()
			for other := range one.Programs {
				if other != name {
					delete(one.Programs, other)
				}
			}
			c, err := ebpf.NewCollection(one)
			var ve *ebpf.VerifierError
			switch {
			case err == nil:
				c.Close()
			case errors.As(err, &ve):
				t.Fatalf("verifier: %+v", ve)
			case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, os.ErrPermission):
				t.Skipf("this kernel does not let us load a %s program: %v", one.Programs[name].Type, err)
			default:
				t.Fatal(err)
			}
		})
	}
}

// The program that joins later must take the maps of the others.
func TestOpenHookSharesMaps(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("loading BPF programs needs root (CAP_BPF and CAP_PERFMON)")
	}
	spec, err := loadProbe()
	if err != nil {
		t.Fatal(err)
	}
	for name := range spec.Programs {
		if name != probeProgTaskFork {
			delete(spec.Programs, name)
		}
	}
	if err := sizeMaps(spec.Maps, true); err != nil {
		t.Fatal(err)
	}
	makeRoom(spec.Maps, 16) // more than the specification has
	p := &Probe{}
	coll, err := ebpf.NewCollection(spec)
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, os.ErrPermission) {
		t.Skipf("this kernel does not let us load a tracepoint program: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.take(coll); err != nil {
		t.Fatal(err)
	}
	if r := p.replacements(spec); r["config"] != p.maps.Config || r["inodes"] != p.maps.Inodes || len(r) < 10 {
		t.Errorf("shared maps: %v", r)
	}
	// Loads with the shared maps; attaching needs kprobes, which may be absent.
	links, err := p.attachOpen(map[string]string{}, openHooks[:1])
	if err == nil || len(links) > 0 || !strings.Contains(err.Error(), "not in this kernel") {
		t.Errorf("attachOpen without the function: %v, %v", links, err)
	}
}
