// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"safeload/internal/kallsyms"
)

// memory is a made-up kernel's: words by address.
type memory struct {
	word  int
	words map[uint64]uint64
	pages map[uint64]bool
}

func (m *memory) Stack() (sp, task uint64, _ error) { return 0, 0, errors.New("not asked for") }

func (m *memory) Read(addr uint64, b []byte) error {
	for i := 0; i < len(b); i += m.word {
		a := addr + uint64(i)
		if !m.pages[a&^(pageSize-1)] {
			return errors.New("not mapped")
		}
		if m.word == 4 {
			binary.NativeEndian.PutUint32(b[i:], uint32(m.words[a]))
		} else {
			binary.NativeEndian.PutUint64(b[i:], m.words[a])
		}
	}
	return nil
}

// set writes words one after the other, from addr on.
func (m *memory) set(addr uint64, words ...uint64) {
	for i, w := range words {
		a := addr + uint64(i*m.word)
		m.words[a] = w
		m.pages[a&^(pageSize-1)] = true
	}
}

const stackAt = 24

// machine has tasks a, b, c with a stack each, and a lock.
type machine struct {
	*memory
	base    uint64
	a, b, c uint64
	lock    uint64 // owner; the queue is three words on
	frames  bool   // are linked
}

func newMachine(word int) *machine {
	m := &machine{memory: &memory{word: word, words: make(map[uint64]uint64), pages: make(map[uint64]bool)}}
	m.base = 0xc0000000
	if word == 8 {
		m.base = 0xffff888000000000
	}
	m.a, m.b, m.c, m.lock = m.base+0x1000, m.base+0x2000, m.base+0x3000, m.base+0x4100
	for i, t := range []uint64{m.a, m.b, m.c} {
		stack := m.base + 0x100000*uint64(i+1)
		m.set(t+stackAt, stack)
		for p := uint64(0); p < 0x4000; p += pageSize {
			m.set(stack+p, 0)
		}
	}
	return m
}

func (m *machine) IsTask(addr uint64) bool { return addr == m.a || addr == m.b || addr == m.c }

func (m *machine) reader(code Code) *Reader {
	r := newReader(m, code, m.word)
	r.stack, r.owner, r.frames = stackAt, 3, m.frames
	return r
}

func (m *machine) at(addr uint64) uint64 { return m.words[addr] }

// queue has tasks wait for the lock, in order.
func (m *machine) queue(owner uint64, tasks ...uint64) {
	w := uint64(m.word)
	head := m.lock + 3*w
	m.set(m.lock, owner)
	ring := []uint64{head}
	for _, t := range tasks {
		ring = append(ring, m.at(t+stackAt)+0x1f00)
	}
	for i, node := range ring {
		m.set(node, ring[(i+1)%len(ring)], ring[(i+len(ring)-1)%len(ring)])
		if i > 0 {
			m.set(node+2*w, tasks[i-1])
		}
	}
}

func TestLock(t *testing.T) {
	const mutex, rwsem = 0xc1000000, 0xc2000000
	code := spans{{mutex, mutex + 0x100, Mutex}, {rwsem, rwsem + 0x100, Read}}
	for _, word := range []int{4, 8} {
		tests := []struct {
			name string
			make func(m *machine)
			want func(m *machine) (Lock, bool)
		}{
			{"nobody waits", func(*machine) {}, func(*machine) (Lock, bool) { return Lock{}, false }},
			{"a mutex", func(m *machine) {
				m.queue(m.b|1, m.a)
				m.set(m.at(m.a+stackAt)+0x1e00, mutex+8)
			}, func(m *machine) (Lock, bool) { return Lock{Task: m.b, Kind: Mutex}, true }},
			{"a mutex, second in the queue", func(m *machine) {
				m.queue(m.b|1, m.c, m.a)
				m.set(m.at(m.a+stackAt)+0x1e00, mutex+8)
			}, func(m *machine) (Lock, bool) { return Lock{Task: m.b, Kind: Mutex}, true }},
			{"a lock that a reader has had", func(m *machine) {
				m.queue(m.b|1, m.a)
				m.set(m.at(m.a+stackAt)+0x1e00, rwsem+8)
			}, func(m *machine) (Lock, bool) { return Lock{Task: m.b, Kind: Read}, true }},
			{"a lock that a writer has", func(m *machine) {
				m.queue(m.b, m.a)
				m.set(m.at(m.a+stackAt)+0x1e00, rwsem+8)
			}, func(m *machine) (Lock, bool) { return Lock{Task: m.b, Kind: Write}, true }},
			{"a lock that a reader has had, and a mutex of before in the frame", func(m *machine) {
				m.queue(m.b|1, m.a)
				frame, w := m.at(m.a+stackAt)+0x1e00, uint64(m.word)
				m.set(frame, rwsem+8)
				m.set(frame+5*w, mutex+8)
			}, func(m *machine) (Lock, bool) { return Lock{Task: m.b, Kind: Unknown}, true }},
			{"a mutex whose frame is known, and a rw_semaphore of before in it", func(m *machine) {
				m.queue(m.b|1, m.a)
				m.frames = true
				frame, w := m.at(m.a+stackAt)+0x1e80, uint64(m.word)
				m.set(frame, frame+4*w, mutex+8) // of schedule()
				m.set(frame+4*w, frame+40*w, 0)  // of the lock
				m.set(frame+7*w, frame-9*w, rwsem+8)
			}, func(m *machine) (Lock, bool) { return Lock{Task: m.b, Kind: Mutex}, true }},
			{"the same, and the lock's variables are below the link of its frame", func(m *machine) {
				m.queue(m.b|1, m.a)
				m.frames = true
				entry, w := m.at(m.a+stackAt)+0x1f00, uint64(m.word)
				m.set(entry-5*w, entry+5*w, mutex+8)
				m.set(entry+5*w, entry+12*w, 0)
				m.set(entry-25*w, 0x1234)
				m.set(entry-29*w, entry-25*w, rwsem+8)
			}, func(m *machine) (Lock, bool) { return Lock{Task: m.b, Kind: Mutex}, true }},
			{"two frames that both look so", func(m *machine) {
				m.queue(m.b|1, m.a)
				m.frames = true
				frame, w := m.at(m.a+stackAt)+0x1e80, uint64(m.word)
				m.set(frame, frame+4*w, mutex+8)
				m.set(frame+2*w, frame+4*w, rwsem+8)
				m.set(frame+4*w, frame+40*w, 0)
			}, func(m *machine) (Lock, bool) { return Lock{Task: m.b, Kind: Unknown}, true }},
			{"a mutex, and a rw_semaphore of before further down", func(m *machine) {
				m.queue(m.b|1, m.a)
				frame, w := m.at(m.a+stackAt)+0x1e00, uint64(m.word)
				m.set(frame, mutex+8)
				m.set(frame-40*w, rwsem+8)
			}, func(m *machine) (Lock, bool) { return Lock{Task: m.b, Kind: Mutex}, true }},
			{"a queue that is no lock's", func(m *machine) { m.queue(m.b, m.a) },
				func(*machine) (Lock, bool) { return Lock{}, false }},
			{"who waits is what stands for the owner", func(m *machine) {
				m.queue(m.a|1, m.a)
				m.set(m.at(m.a+stackAt)+0x1e00, mutex+8)
			}, func(*machine) (Lock, bool) { return Lock{}, false }},
			{"nobody holds it", func(m *machine) { m.queue(1, m.a) }, func(*machine) (Lock, bool) { return Lock{}, false }},
			{"what is before the queue is no task", func(m *machine) { m.queue(m.lock+0x800, m.a) },
				func(*machine) (Lock, bool) { return Lock{}, false }},
			{"an entry from before, which the queue no longer has", func(m *machine) {
				m.queue(m.b|1, m.a)
				old := m.at(m.a+stackAt) + 0x1f00
				was := []uint64{m.at(old), m.at(old + uint64(m.word))}
				m.queue(m.b|1, m.c)
				m.set(old, was[0], was[1], m.a)
			}, func(*machine) (Lock, bool) { return Lock{}, false }},
			{"a queue whose entries are all on stacks", func(m *machine) {
				m.queue(m.b|1, m.a, m.c)
				x, y, w := m.at(m.a+stackAt)+0x1f00, m.at(m.c+stackAt)+0x1f00, uint64(m.word)
				m.set(x, y, y)
				m.set(y, x, x)
				_ = w
			}, func(*machine) (Lock, bool) { return Lock{}, false }},
		}
		for _, tc := range tests {
			m := newMachine(word)
			tc.make(m)
			got, ok := m.reader(code).Of(m.a)
			want, found := tc.want(m)
			if found {
				want.Addr = m.lock + 3*uint64(word)
			}
			if ok != found || got != want {
				t.Errorf("word %d: %s: %+v, %v; want %+v, %v", word, tc.name, got, ok, want, found)
			}
		}
	}
}

func TestKernel(t *testing.T) {
	r := newReader(nil, nil, 8)
	for addr, want := range map[uint64]bool{0xffffc90000123000: true, 0xffa0000000123000: true, 0xff11000000123008: true,
		0xffff800080123450: true, 0x7ffd00000000: false, 0x00ffff8000000000: false, 0xffffc90000123001: false, 0: false} {
		if got := r.kernel(addr); got != want {
			t.Errorf("%#x: %v", addr, got)
		}
	}
}

func TestFindStack(t *testing.T) {
	m := newMachine(4)
	r := newReader(m, nil, 4)
	m.set(m.a, 5, 6, m.base+0x7000) // a page, but not ours
	if err := r.findStack(m.a, m.at(m.a+stackAt)+0x1234); err != nil || r.stack != stackAt {
		t.Errorf("%d, %v; want %d", r.stack, err, stackAt)
	}
	if err := r.findStack(m.a, m.base+0x900000); err == nil {
		t.Error("found a stack that is another's")
	}
}

func TestFindOwner(t *testing.T) {
	m := newMachine(4)
	r := newReader(m, nil, 4)
	r.stack = stackAt
	m.queue(m.b|1, m.a)
	if err := r.findOwner(m.a, m.c); err == nil {
		t.Error("found an owner who is not")
	}
	if err := r.findOwner(m.b, m.a); err == nil {
		t.Error("found who does not wait in a queue")
	}
	if err := r.findOwner(m.a, m.b); err != nil || r.owner != 3 {
		t.Errorf("%d, %v; want 3", r.owner, err)
	}
}

func TestReadCode(t *testing.T) {
	code := readCode(read(t, `c0100000 T before
c0100100 t __mutex_lock.constprop.0
c0100100 t alias
c0100300 t rwsem_down_read_slowpath
c0100400 T after
c0100500 t __mutex_lock.cold
c0100600 T last
bf000000 t mutex_lock	[module]
bf000100 t more	[module]
`))
	for addr, want := range map[uint64]Kind{0xc0100100: Unknown, 0xc0100104: Mutex, 0xc0100300: Mutex, 0xc0100304: Read,
		0xc0100404: Unknown, 0xc0100504: Unknown, 0xbf000004: Unknown} {
		if got := code.Waiting(addr); got != want {
			t.Errorf("%#x: %v, want %v", addr, got, want)
		}
	}
	if code := readCode(read(t, "00000000 t mutex_lock\n00000000 T more\n")); code != nil {
		t.Errorf("without addresses: %v", code)
	}
}

func read(t *testing.T, text string) *kallsyms.Functions {
	t.Helper()
	functions, err := kallsyms.Read(strings.NewReader(text), functionNames...)
	if err != nil {
		t.Fatal(err)
	}
	return functions
}

func TestSigned(t *testing.T) {
	r := newReader(nil, nil, 8)
	for addr, want := range map[uint64]uint64{0xffff800080123456: 0xffff800080123456, 0x12bf800080123456: 0xffff800080123456, 0x5678: 0x5678} {
		if got := r.unsigned(addr); got != want {
			t.Errorf("%#x: %#x, want %#x", addr, got, want)
		}
	}
	if got := newReader(nil, nil, 4).unsigned(0xc0123456); got != 0xc0123456 {
		t.Errorf("32 bits: %#x", got)
	}
}
