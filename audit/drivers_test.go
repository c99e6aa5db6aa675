// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"testing"

	"safeload/audit/internal/isa"
)

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"usb:v1234p0001d*dc*", "usb:v1234p*d*dc*", true},
		{"usb:v1234p0001d*dc*", "usb:v1235p*d*dc*", false},
		{"usb:v1234p0001d*dc*", "usb:v*p0001d*dc*", true},
		{"usb:v1234p0001d01[0-5]*", "usb:v1234p0001d0107*", true}, // a class is any character
		{"pci:v00008086d*", "pci:v00008086d00001234sv*", true},
		{"pci:v00008086d*", "pci:v000010DEd*", false},
		{"platform:a_b", "platform:a-b", true},
		{"*", "", true}, {"", "", true}, {"a", "", false}, {"a*b", "a", false}, {"a*", "*a", true},
	} {
		for _, p := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := overlap(p[0], p[1]); got != c.want {
				t.Errorf("%q and %q: %v", p[0], p[1], got)
			}
		}
	}
}

func TestSameDevice(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"usb:v1234p0001d*dc*dsc*dp*ic*isc*ip*in*", "usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*", true},
		{"usb:v1234p0001d*dc*dsc*dp*ic01isc*ip*in*", "usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*", false},
		{"usb:v1234p0001d01[0-5]*dc*dsc*dp*ic*isc*ip*in*", "usb:v1234p0001d0107dc*dsc*dp*ic*isc*ip*in*", true},
		{"pci:v00008086d*sv*sd*bc*sc*i*", "pci:v00008086d00001234sv*sd*bc02sc00i*", true},
		{"pci:v00008086d*sv*sd*bc01sc*i*", "pci:v*d*sv*sd*bc02sc00i*", false},
		{"virtio:d00000001v*", "virtio:d00000002v*", false},
		{"i2c:abc", "i2c:abd", false}, {"i2c:abc", "i2c:abc", true}, {"usb:*", "usb:v1234p*", true},
	} {
		if got := sameDevice(c.a, c.b); got != c.want || sameDevice(c.b, c.a) != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

func TestPartOf(t *testing.T) {
	const a = "usb:v1234p0001d*dc*dsc*dp*ic01isc*ip*in*"
	for b, want := range map[string]bool{
		"usb:v1234p0001d*dc*dsc*dp*ic02isc*ip*in*": true,
		"usb:v1234p0002d*dc*dsc*dp*ic02isc*ip*in*": false,
		"usb:v1234p*d*dc*dsc*dp*ic02isc*ip*in*":    false,
		"usb:v*p*d*dc*dsc*dp*ic02isc*ip*in*":       false,
		"usb:":                                     false,
	} {
		if got := partOf(a, b); got != want || sameDevice(a, b) {
			t.Errorf("%s: %v", b, got)
		}
	}
}

// What has several names, such as a device tree's node, is no device of two drivers for that.
func TestNamed(t *testing.T) {
	for a, b := range map[string]string{"acpi*:CEC00001:*": "acpi*:ACPI0003:*", "of:N*T*Cst,stm32_cec": "of:N*T*Cst,stm32_cec2", "of:N*T*Ca,bC*": "of:N*T*Cc,dC*"} {
		if overlap(named(a), named(b)) {
			t.Errorf("%s and %s are one", a, b)
		}
		if !overlap(named(a), named(a)) {
			t.Errorf("%s is not itself", a)
		}
	}
	if a, b := named("of:N*T*Ca,b"), named("of:N*T*Ca,bC*"); a != b {
		t.Errorf("%s is not %s", a, b)
	}
}

// pointers is an object of n pointers to as many names, each by a relocation.
func pointers(n int) *image {
	im := &image{machine: elf.EM_AARCH64, arch: isa.ARM64, wide: true, order: binary.LittleEndian, budget: budget{left: maxWork}}
	im.secs = make([]section, 3)
	im.syms = []symbol{{}, {name: "driver", sec: 1, size: uint64(8 * n), typ: elf.STT_OBJECT}, {name: "names", sec: 2}}
	im.secs[1].data, im.secs[1].size = make([]byte, 8*n), uint64(8*n)
	for i := range n {
		im.secs[1].relocs = append(im.secs[1].relocs, reloc{uint64(8 * i), 2, uint32(elf.R_AARCH64_ABS64), int64(len(im.secs[2].data))})
		im.secs[2].data = append(im.secs[2].data, fmt.Sprintf("%08d\x00", i)...)
	}
	im.secs[2].size = uint64(len(im.secs[2].data))
	return im
}

// TestDriverNames: of a driver no more names are kept than any has, and one that is larger than memory, which costs no file, is not gone through.
func TestDriverNames(t *testing.T) {
	im := pointers(100)
	x := newExplorer(im)
	x.drive("__platform_driver_register", place{sec: 1}, 0, nil)
	if len(x.drivers) != 1 || len(x.drivers[0].names) != 100 {
		t.Errorf("%+v", x.drivers)
	}
	im = pointers(4 * maxNames)
	x = newExplorer(im)
	x.drive("__platform_driver_register", place{sec: 1}, 0, nil)
	if len(x.drivers) != 1 || len(x.drivers[0].names) != maxNames {
		t.Errorf("%d names", len(x.drivers[0].names))
	}
	im = pointers(1)
	im.secs[1].data, im.secs[1].size, im.syms[1].size = nil, maxSection, maxSection
	x = newExplorer(im)
	if err := im.bounded(func() { x.drive("usb_register_driver", place{sec: 1}, 0, nil) }); err != ErrTooLarge {
		t.Error(err)
	}
}

// TestBuses: the drivers of each bus that the table has are noted.
func TestBuses(t *testing.T) {
	for by := range buses {
		x := newExplorer(pointers(1))
		x.callbacks(by, [maxArgs]value{{kind: address, sec: 1}}, 0, nil)
		if by == "__platform_register_drivers" { // a table of drivers, which has none here
			continue
		}
		if len(x.drivers) != 1 || x.drivers[0].by != by {
			t.Errorf("%s: %+v", by, x.drivers)
		}
	}
}

// TestPrefersAsync: a name, three words that are set later, a flag and the kind of probe are a struct device_driver; with a pointer among them they are not.
func TestPrefersAsync(t *testing.T) {
	for _, c := range []struct {
		words int // the first so many are pointers
		kind  byte
		want  bool
	}{{1, 1, true}, {1, 2, false}, {2, 1, false}, {4, 1, false}} {
		im := pointers(5)
		im.secs[1].relocs = im.secs[1].relocs[:c.words]
		im.secs[1].data[4*8+4] = c.kind
		if got := newExplorer(im).prefersAsync(1, 0, 40); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
