// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"safeload/docs/schema"
	"safeload/internal/clock"
	"safeload/kmod"
)

// hostile are modules that cost far more than their size, each by another part
// of the study. n says how far.
var hostile = map[string]func(n int) []byte{
	// Functions that overlap: each is gone through to the end.
	"overlapping functions": func(n int) []byte {
		m := newMaker()
		ask := m.symbol("__request_module", 0, 0, 0, elf.STT_NOTYPE)
		m.symbol("init_module", makerText, 0, uint64(8*n), elf.STT_FUNC)
		for i := range n { // bl to the next, and a call
			m.op(0x94000001)
			m.reloc(ask, elf.R_AARCH64_CALL26)
			m.op(0x94000000)
			m.symbol(fmt.Sprintf("f%d", i), makerText, uint64(8*i), uint64(8*(n-i)), elf.STT_FUNC)
		}
		return m.file()
	},
	// Conditions that pile up.
	"conditions": func(n int) []byte {
		m := newMaker()
		for i := range n {
			m.op(0x7100001f | uint32(i)&0xfff<<10)        // cmp w0, #i
			m.op(0x54000000 | uint32(2*(n-i))&0x7ffff<<5) // b.eq to the end
		}
		m.op(0xd65f03c0)
		m.symbol("init_module", makerText, 0, uint64(len(m.text)), elf.STT_FUNC)
		return m.file()
	},
	// Ways that wait to be gone, the next one looked for each time.
	"ways": func(n int) []byte {
		m := newMaker()
		for i := range n { // cbz x19 to one of as many returns
			m.op(0xb4000013 | uint32(n-i+i)&0x7ffff<<5)
		}
		for range n + 1 {
			m.op(0xd65f03c0)
		}
		m.symbol("init_module", makerText, 0, uint64(len(m.text)), elf.STT_FUNC)
		return m.file()
	},
	// Names for one place, passed over for each call of it.
	"names of one function": func(n int) []byte {
		m := newMaker()
		for range n {
			m.op(0x94000000 | uint32(-len(m.text)/4)&0x3ffffff) // bl to the start
		}
		for range n {
			m.symbol("f", makerText, 0, 0, elf.STT_FUNC)
		}
		m.symbol("init_module", makerText, 4, uint64(len(m.text)-4), elf.STT_FUNC)
		return m.file()
	},
	"aliases": func(n int) []byte {
		m := newMaker()
		for range n {
			m.info("alias=*a*a*a*a*a*a")
		}
		m.symbol("init_module", makerText, 0, 0, elf.STT_FUNC)
		return m.file()
	},
	"names of sections": func(n int) []byte {
		b := selfRequester(1)
		// The table of names now reaches over what was put behind the headers.
		at := len(b)
		b = append(b, bytes.Repeat([]byte{'x'}, n)...)
		off, size := b[at-64+24:], b[at-64+32:] // of the last header
		for i := range 8 {
			off[i], size[i] = byte(at>>(8*i)), byte(n>>(8*i))
		}
		return b
	},
}

// TestTooLarge: the work is bounded, and a module that takes more is told of.
func TestTooLarge(t *testing.T) {
	for name, make := range hostile {
		t.Run(name, func(t *testing.T) {
			f := studyWithin(maxWork/16, "x", "x.ko", make(20000))
			if !errors.Is(f.err, ErrTooLarge) {
				t.Errorf("%v, want %v", f.err, ErrTooLarge)
			}
			if f.init != nil || f.algs != nil || f.called != nil {
				t.Error("something of it counts all the same")
			}
			if f := study("x", "x.ko", make(20)); f.err != nil && name != "names of sections" {
				t.Errorf("a small one: %v", f.err)
			}
		})
	}
}

// TestTooLargeReport: it is not passed over in silence, and the rest of the tree
// is analysed.
func TestTooLargeReport(t *testing.T) {
	r, err := Run(context.Background(), Options{Dir: tree(t, map[string][]byte{
		"self.ko": selfRequester(1), "big.ko": hostile["conditions"](60000),
	})})
	if err != nil {
		t.Fatal(err)
	}
	if got := summaries(r); len(got) != 1 {
		t.Error(got)
	}
	if len(r.Failed) != 1 || !errors.Is(r.Failed[0], ErrTooLarge) {
		t.Fatal(r.Failed)
	}
	var text, lines bytes.Buffer
	if err := WriteText(&text, r, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "big.ko: not analysed: too large\n") {
		t.Error(text.String())
	}
	if err := WriteJSON(&lines, r, func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.Check("audit", bytes.NewReader(lines.Bytes())); err != nil {
		t.Error(err)
	}
	all := strings.Split(strings.TrimSpace(lines.String()), "\n")
	var summary jsonSummary
	if err := json.Unmarshal([]byte(all[len(all)-1]), &summary); err != nil {
		t.Fatal(err)
	}
	if len(summary.Failed) != 1 || !strings.HasSuffix(summary.Failed[0], "big.ko: not analysed: too large") {
		t.Error(all)
	}
}

// TestComparedAliases: patterns that cost too much to compare are given up, those
// of other modules are not.
func TestComparedAliases(t *testing.T) {
	bad := &facts{name: "bad", compared: budget{left: 100}, aliases: []string{"*" + strings.Repeat("a*", 30)}}
	good := &facts{name: "good", compared: budget{left: maxWork}, aliases: []string{"net_*"}}
	r := newResolver([]*facts{bad, good}, &kmod.Config{})
	for range 3 {
		if m := r.lookup("net-pf-12345678901234567890"); len(m) != 1 || m[0].module != "good" {
			t.Error(m)
		}
	}
	if !errors.Is(bad.err, ErrTooLarge) || good.err != nil {
		t.Errorf("bad %v, good %v", bad.err, good.err)
	}
}

// TestForeignWork: modules whose exported functions call each other's cost their
// product for one who calls them.
func TestForeignWork(t *testing.T) {
	var all []*facts
	for i := range 6 {
		var calls []event
		for range 100 {
			calls = append(calls, event{symbol: fmt.Sprintf("f%d", i+1), route: []string{"x"}})
		}
		f := &facts{name: fmt.Sprintf("m%d", i), compared: budget{left: maxWork},
			exports: []string{fmt.Sprintf("f%d", i)}, called: map[string][]event{fmt.Sprintf("f%d", i): calls}}
		if i == 0 {
			f.init = calls
		}
		all = append(all, f)
	}
	find(all, newResolver(all, &kmod.Config{}), func(f *facts) *moduleRequests { return requestsOf(f, newResolver(all, &kmod.Config{})) })
	if !errors.Is(all[0].err, ErrTooLarge) {
		t.Error(all[0].err)
	}
}

// TestAskers: which exported functions request costs what the calls of these do, not their number times the length of a chain.
func TestAskers(t *testing.T) {
	chain := func(n int) time.Duration {
		var all []*facts
		for i := range n {
			f := &facts{called: map[string][]event{fmt.Sprint("f", i): {{symbol: fmt.Sprint("f", i+1)}}}}
			all = append(all, f)
		}
		all[0].called["late"] = []event{{symbol: "f1", how: viaThread}}
		all[n-1].called[fmt.Sprint("f", n-1)][0].symbol = "__request_module"
		before := clock.CPU()
		asking := askers(all)
		took := clock.CPU() - before
		if len(asking) != n || asking["late"] {
			t.Errorf("%d of %d request", len(asking), n)
		}
		return took
	}
	const n = 40_000
	tenth := (chain(n/10) + chain(n/10) + chain(n/10)) / 3
	if took := chain(n); took > 60*tenth {
		t.Errorf("a chain of %d takes %v, a tenth of it %v", n, took, tenth)
	}
}

// TestSpend: what a file says does not overflow, on 32 bits either.
func TestSpend(t *testing.T) {
	for _, c := range []struct{ n, steps int64 }{{1 << 40, 1}, {1 << 26, 64}, {1 << 30, 1 << 34}, {-1, 1}} {
		b := budget{left: maxWork}
		if err := b.bounded(func() { b.spendEach(c.n, c.steps) }); err != ErrTooLarge || b.left >= 0 {
			t.Errorf("%+v: %v, %d left", c, err, b.left)
		}
	}
	b := budget{left: 100}
	if err := b.bounded(func() { b.spendEach(25, 4); b.spend(0) }); err != nil || b.left != 0 {
		t.Error(err, b.left)
	}
}

// TestLockWork: what is remembered of the locks that are held counts as memory.
func TestLockWork(t *testing.T) {
	locked := func(n int) []byte {
		m := newMaker()
		lock, unlock := m.symbol("mutex_lock", 0, 0, 0, elf.STT_NOTYPE), m.symbol("mutex_unlock", 0, 0, 0, elf.STT_NOTYPE)
		data := m.symbol("locks", makerRodata, 0, 8, elf.STT_OBJECT)
		m.rodata = make([]byte, 4096)
		for i := range n { // seven are held, and one is acquired and released again and again
			for _, op := range []uint32{0x90000000, 0x91000000} {
				m.reloc(data, map[uint32]elf.R_AARCH64{0x90000000: elf.R_AARCH64_ADR_PREL_PG_HI21, 0x91000000: elf.R_AARCH64_ADD_ABS_LO12_NC}[op])
				m.relocs[len(m.relocs)-1].Addend = int64(8 * min(i, 7))
				m.op(op)
			}
			sym := lock
			if i > 7 && i%2 == 0 {
				sym = unlock
			}
			m.reloc(sym, elf.R_AARCH64_CALL26)
			m.op(0x94000000)
		}
		m.op(0xd65f03c0)
		m.symbol("init_module", makerText, 0, uint64(len(m.text)), elf.STT_FUNC)
		return m.file()
	}
	cost := func(n int) int64 {
		b := budget{left: maxWork}
		if err := b.bounded(func() {
			im, err := newImage(locked(n), b)
			if err != nil {
				t.Fatal(err)
			}
			sym, _ := im.initFunction()
			before := im.left
			im.analyse(sym, [maxArgs]value{})
			b.left = before - im.left
		}); err != nil {
			t.Fatal(err)
		}
		return b.left
	}
	// A call has some 240 bytes, and as much again for each five locks that it goes with.
	if took := cost(1000); took < 1000*(48+7*8) {
		t.Errorf("1000 calls with seven locks cost %d", took)
	}
}

// TestAskedTooLarge: a module that is looked at once more, and costs too much then, is told of.
func TestAskedTooLarge(t *testing.T) {
	f := study("x", "x.ko", selfRequester(1))
	if f.askWithin(10, selfRequester(1), map[string]bool{"f": true}); !errors.Is(f.err, ErrTooLarge) {
		t.Error(f.err)
	}
}

// TestComparedDevices: the devices of two drivers cost the product of their aliases; who asks for it is told of.
func TestComparedDevices(t *testing.T) {
	var aliases []string
	for i := range 3000 {
		aliases = append(aliases, fmt.Sprintf("%03X%sd*", i, strings.Repeat("p0001", 40)))
	}
	probe := func(name string, ask bool) *facts {
		f := &facts{name: name, compared: budget{left: maxWork}, drivers: []driver{{by: "usb_register_driver"}}}
		if ask {
			f.init = []event{{symbol: "__request_module", how: viaProbe, route: []string{"init", "usb_register_driver", "probe"},
				args: [maxArgs]arg{{kind: argNumber, n: 1}, {kind: argText, text: "b"}}}}
		}
		for _, a := range aliases {
			f.aliases = append(f.aliases, "usb:v"+name+a)
		}
		return f
	}
	all := []*facts{probe("a", true), probe("b", false)}
	found := findWaits(all, newResolver(all, &kmod.Config{}))
	if len(found) != 0 || !errors.Is(all[0].err, ErrTooLarge) || all[1].err != nil {
		t.Error(found, all[0].err, all[1].err)
	}
	all[0], all[1] = probe("a", true), probe("b", false)
	all[0].aliases, all[1].aliases = []string{"usb:v1234p*"}, []string{"usb:v1234p0001d*"}
	if found := findWaits(all, newResolver(all, &kmod.Config{})); len(found) != 1 || found[0].Wait.Kind != "device" || found[0].Rank != Likely {
		t.Error(found, all[0].err)
	}
	// Of two drivers the device may be the other's.
	all[0].drivers = append(all[0].drivers, driver{by: "usb_register_driver", at: place{sec: 1, off: 64}})
	if found := findWaits(all, newResolver(all, &kmod.Config{})); len(found) != 1 || found[0].Rank != Possible {
		t.Error(found, all[0].err)
	}
}
