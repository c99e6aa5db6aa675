// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// fakeProbe counts; the real one is in the guest's cases.
type fakeProbe struct {
	there          bool
	loads, unloads int
	err            error
}

func (p *fakeProbe) There() bool   { return p.there }
func (p *fakeProbe) Load() error   { p.loads++; return p.err }
func (p *fakeProbe) Unload() error { p.unloads++; return p.err }

func TestProbeThereAndBack(t *testing.T) {
	for _, c := range []struct {
		name    string
		put     []string
		program string
		unit    string
		err     error
	}{
		{"no systemd", nil, "/usr/sbin/safeload", "", nil},
		{"the package's unit", []string{"usr/lib/systemd/systemd", "usr/sbin/safeload", packUnit[1:]}, "/usr/sbin/safeload", packUnit, nil},
		{"one of our own", []string{"usr/lib/systemd/systemd", "usr/local/sbin/safeload"}, "/usr/local/sbin/safeload", ownUnit, nil},
		{"no BPF", []string{"usr/lib/systemd/systemd", "usr/local/sbin/safeload"}, "/usr/local/sbin/safeload", ownUnit, errors.New("no BPF here")},
		{"a program that a boot may not find", []string{"usr/lib/systemd/systemd", "tmp/safeload"}, "/tmp/safeload", "", nil},
		{"a program of another name for systemd", []string{"usr/lib/systemd/systemd", "opt/a%b/safeload"}, "/opt/a%b/safeload", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSystem(t, true)
			for _, f := range c.put {
				s.write(f, "x")
			}
			before := s.snapshot()
			p := &fakeProbe{err: c.err}
			o := s.options(Sysctl)
			o.Probe, o.Program = p, s.root+c.program
			for range 2 { // the second changes nothing
				if err := Install(o); err != nil {
					t.Fatal(err)
				}
			}
			if p.loads != 2 {
				t.Errorf("loaded %d times", p.loads)
			}
			if said := slices.ContainsFunc(s.lines, func(l string) bool { return strings.Contains(l, "no BPF here") }); said != (c.err != nil) {
				t.Errorf("said: %q", s.lines)
			}
			to, err := os.Readlink(s.root + unitWanted)
			if to != c.unit || (err == nil) != (c.unit != "") {
				t.Errorf("at boot: %q, %v; want %q", to, err, c.unit)
			}
			if own := s.read(ownUnit[1:]); strings.Contains(own, `ExecStart=-"`+c.program+`" probe load`) != (c.unit == ownUnit) {
				t.Errorf("the unit: %s", own)
			}
			if err := Uninstall(o); err != nil {
				t.Fatal(err)
			}
			if p.unloads != 1 {
				t.Errorf("unloaded %d times", p.unloads)
			}
			if after := s.snapshot(); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// One that was there before stays when the installation goes.
func TestProbeWasThere(t *testing.T) {
	s := newSystem(t, true)
	p := &fakeProbe{there: true}
	o := s.options(Sysctl)
	o.Probe, o.Program = p, s.root+"/usr/sbin/safeload"
	for range 2 {
		if err := Install(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := Uninstall(o); err != nil {
		t.Fatal(err)
	}
	if p.loads != 2 || p.unloads != 0 {
		t.Errorf("loaded %d times, unloaded %d times", p.loads, p.unloads)
	}
}

// What people made of the unit stays.
func TestProbeUnitChanged(t *testing.T) {
	s := newSystem(t, true)
	s.write("usr/lib/systemd/systemd", "x")
	s.write("usr/local/sbin/safeload", "x")
	o := s.options(Sysctl)
	o.Program = s.root + "/usr/local/sbin/safeload"
	if err := Install(o); err != nil {
		t.Fatal(err)
	}
	s.write(ownUnit[1:], "changed")
	if err := Uninstall(o); err != nil {
		t.Fatal(err)
	}
	if s.read(ownUnit[1:]) != "changed" {
		t.Error("a changed unit was removed")
	}
}

// The unit of the package and the one that install writes do the same.
func TestProbeUnits(t *testing.T) {
	pack, err := os.ReadFile("../packaging/systemd/" + unitName)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(text string) (use []string) {
		for l := range strings.Lines(strings.ReplaceAll(text, `"`, "")) {
			if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
				use = append(use, l)
			}
		}
		return use
	}
	if a, b := lines(string(pack)), lines(string(unitText(packaged))); !slices.Equal(a, b) {
		t.Errorf("%q\n%q", a, b)
	}
}
