// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"
	"strings"
)

// driver is one that init registers.
type driver struct {
	by    string // the function that registers it
	at    place
	how   how
	route []string
	names []string // of platform devices that it takes, besides the module's aliases
}

// buses are the functions that register a driver, with the beginnings of the
// aliases by which its bus names devices. Each ends in driver_register, which
// takes the lock of each device that the driver matches, whether or not that has
// a driver (drivers/base/dd.c, __driver_attach); of a USB interface the lock of
// the device it is part of, too (need_parent_lock).
var buses = map[string][]string{
	"usb_register_driver":         {"usb:"},
	"__pci_register_driver":       {"pci:"},
	"__platform_driver_register":  {"platform:", "of:", "acpi"},
	"__platform_driver_probe":     {"platform:", "of:", "acpi"},
	"__platform_register_drivers": {"platform:", "of:", "acpi"},
	"i2c_register_driver":         {"i2c:", "of:", "acpi"},
	"__spi_register_driver":       {"spi:", "of:", "acpi"},
	"__hid_register_driver":       {"hid:"},
	"__sdio_register_driver":      {"sdio:"},
	"sdio_register_driver":        {"sdio:"},
	"register_virtio_driver":      {"virtio:"},
	"__register_virtio_driver":    {"virtio:"},
	"__auxiliary_driver_register": {"auxiliary:"},
	"pnp_register_driver":         {"pnp:", "acpi"},
	"acpi_bus_register_driver":    {"acpi"},
	"__acpi_bus_register_driver":  {"acpi"},
	"phy_driver_register":         {"mdio:"},
	"phy_drivers_register":        {"mdio:"},
	"ssb_driver_register":         {"ssb:"},
	"__ssb_driver_register":       {"ssb:"},
	"__bcma_driver_register":      {"bcma:"},
	"hda_codec_driver_register":   {"hdaudio:"},
	"__hda_codec_driver_register": {"hdaudio:"},
	"register_rpmsg_driver":       {"rpmsg:"},
	"__register_rpmsg_driver":     {"rpmsg:"},
	"mei_cldev_driver_register":   {"mei:"},
	"__mei_cldev_driver_register": {"mei:"},
	"tb_register_service_driver":  {"tbsvc:"},
	"__vmbus_driver_register":     {"vmbus:"},
	"hv_driver_register":          {"vmbus:"},
	"serio_register_driver":       {"serio:"},
	"__serio_register_driver":     {"serio:"},
	"pcmcia_register_driver":      {"pcmcia:"},
}

// maxNames is how many names of a driver are kept: a table of the kernel's has some fifty.
const maxNames = 512

// drive notes a driver that is registered, and reports viaAsync if it asks to be
// probed in an async function.
func (x *explorer) drive(name string, p place, by how, route []string) how {
	d := driver{by: name, at: p, how: by, route: append(route[:len(route):len(route)], name)}
	start, end, ok := x.im.object(p)
	if !ok {
		return 0
	}
	start = max(start, p.off)
	var async how
	x.im.spendEach((end-start)/x.im.word()+4, 4)
	for off := start; off < end; off += x.im.word() {
		q, ok := x.im.pointer(p.sec, off)
		if !ok || q.sec == 0 {
			continue
		}
		s, ok := x.im.text(q)
		if !ok || s == "" || len(s) > 31 || x.im.secs[q.sec].code() {
			continue
		}
		if strings.HasPrefix(name, "__platform") && len(d.names) < maxNames && !slices.Contains(d.names, s) {
			x.im.spend(8 + len(d.names)/4)
			d.names = append(d.names, s)
		}
		if x.prefersAsync(p.sec, off, end) {
			async = viaAsync
		}
	}
	if len(x.drivers) < maxTakings {
		x.drivers = append(x.drivers, d)
	}
	return async
}

// prefersAsync reports whether a struct device_driver whose name is at off has
// probe_type PROBE_PREFER_ASYNCHRONOUS: name, bus, owner, mod_name, bool
// suppress_bind_attrs, enum probe_type (include/linux/device/driver.h).
func (x *explorer) prefersAsync(sec int32, off, end int64) bool {
	w := x.im.word()
	b := x.im.bytesAt(place{sec: sec, off: off})
	if off+4*w+8 > end || int64(len(b)) < 4*w+8 {
		return false
	}
	for i := w; i < 4*w; i += w { // what is set when it is registered: no pointer, which may be in a relocation alone
		_, pointer := x.im.pointer(sec, off+i)
		if pointer || !zero(b[i:i+w]) {
			return false
		}
	}
	return b[4*w] <= 1 && x.im.order.Uint32(b[4*w:])>>8 == 0 && x.im.order.Uint32(b[4*w+4:]) == 1
}

// devices are the devices that a module's drivers of one bus take: patterns of
// aliases.
func (f *facts) devices(by string) (out []string) {
	for _, d := range f.drivers {
		if !sameBus(d.by, by) {
			continue
		}
		for _, n := range d.names {
			out = append(out, "platform:"+n)
		}
	}
	if out == nil && !slices.ContainsFunc(f.drivers, func(d driver) bool { return sameBus(d.by, by) }) {
		return nil
	}
	for _, a := range f.aliases {
		for _, p := range buses[by] {
			if strings.HasPrefix(a, p) {
				out = append(out, named(a))
				break
			}
		}
	}
	return out
}

func zero(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

// several tells whether a module has more than one driver of a bus: then not each of
// its aliases is for the one whose probe function requests.
func (f *facts) several(bus string) bool {
	seen := map[place]bool{}
	for _, d := range f.drivers {
		if sameBus(d.by, bus) {
			seen[d.at] = true
		}
	}
	return len(seen) > 1
}

// named reduces an alias of a device tree's node or an ACPI device to the one name
// in it. A device may have several names, but no two names are one device for that.
func named(alias string) string {
	if id, ok := strings.CutPrefix(alias, "acpi*:"); ok {
		return "acpi:" + strings.TrimSuffix(id, ":*")
	}
	if strings.HasPrefix(alias, "of:") {
		if i := strings.LastIndexByte(alias, 'C'); i > 0 && strings.HasSuffix(alias, "C*") && i == len(alias)-2 {
			alias = alias[:i]
		}
		if _, compatible, ok := strings.Cut(alias, "T*C"); ok {
			return "of:" + compatible
		}
	}
	return alias
}

func sameBus(a, b string) bool {
	x, y := buses[a], buses[b]
	return len(x) > 0 && len(y) > 0 && x[0] == y[0]
}

// sharedDevice gives a device that two patterns of two lists name, of the aliases that
// one of them has first.
func sharedDevice(a, b []string, spend func(int)) (string, bool) {
	for _, x := range a {
		for _, y := range b {
			spend(8 + len(x) + len(y) + len(x)*len(y)/16)
			if sameDevice(x, y) || partOf(x, y) {
				return x, true
			}
		}
	}
	return "", false
}

// sameDevice reports whether two aliases can name one device. Where a bus has fields
// (usb:v1234p*d*…), each is compared with its like: names in lower case, values not.
func sameDevice(a, b string) bool {
	names, x := fields(a)
	others, y := fields(b)
	if len(x) < 2 || names != others {
		return overlap(a, b)
	}
	for i := range x {
		if !overlap(x[i], y[i]) {
			return false
		}
	}
	return true
}

// fields splits an alias into the names of its fields and their values.
func fields(alias string) (names string, values []string) {
	bus, rest, _ := strings.Cut(alias, ":")
	switch bus {
	case "usb", "pci", "hid", "sdio", "virtio", "ssb", "bcma", "hdaudio":
	default:
		return "", nil
	}
	lower := func(r rune) bool { return r >= 'a' && r <= 'z' }
	var b strings.Builder
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return !lower(r) })
		if n < 0 {
			n = len(rest)
		}
		b.WriteByte(' ')
		b.WriteString(rest[:n])
		rest = rest[n:]
		if n = strings.IndexFunc(rest, lower); n < 0 {
			n = len(rest)
		}
		values, rest = append(values, rest[:n]), rest[n:]
	}
	return b.String(), values
}

// partOf reports whether both are for interfaces of one USB device: a driver's
// registration takes the lock of the whole device, too.
func partOf(a, b string) bool {
	const n = len("usb:v0000p0000")
	return len(a) > n && len(b) > n && strings.HasPrefix(a, "usb:v") && a[:n] == b[:n] && a[9] == 'p' && special(a[:n]) < 0
}

// overlap reports whether some name fits both patterns. A class in brackets is
// taken to be any character.
func overlap(a, b string) bool {
	x, y := globs(a), globs(b)
	// Where one pattern's first i and the other's first j can stand for the same.
	row := make([]bool, len(y)+1)
	for i := 0; i <= len(x); i++ {
		next := make([]bool, len(y)+1)
		some := false
		for j := 0; j <= len(y); j++ {
			switch {
			case i == 0 && j == 0:
				next[j] = true
			case i > 0 && x[i-1] == '*':
				next[j] = row[j] || j > 0 && next[j-1]
			case j > 0 && y[j-1] == '*':
				next[j] = next[j-1] || i > 0 && row[j]
			case i > 0 && j > 0:
				next[j] = row[j-1] && (x[i-1] == y[j-1] || x[i-1] == '?' || y[j-1] == '?')
			}
			some = some || next[j]
		}
		if !some {
			return false
		}
		row = next
	}
	return row[len(y)]
}

// globs is a pattern with '?' for each class.
func globs(p string) (out []byte) {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '[':
			if n := strings.IndexByte(p[i:], ']'); n > 0 {
				i += n
			}
			out = append(out, '?')
		case '\\':
			if i++; i < len(p) {
				out = append(out, p[i])
			}
		case '_':
			out = append(out, '-')
		default:
			out = append(out, p[i])
		}
	}
	return out
}
