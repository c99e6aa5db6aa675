// SPDX-License-Identifier: Apache-2.0

package ancestry

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
	"safeload/internal/proc"
)

// The values of the pinned maps, as the probe lays them out.
const (
	nameLen     = layout.NameLen
	taskSize    = layout.TaskSize
	loadSize    = layout.LoadSize
	requestSize = layout.RequestSize
	ownerSize   = layout.OwnerSize
	flagsSize   = layout.FlagsSize

	hopTask    = layout.HopTask
	hopKthread = layout.HopKthread
	hopWork    = layout.HopWork
	hopUnsure  = layout.HopUnsure

	loadInit    = layout.LoadInit
	loadBlocked = layout.LoadBlocked
	loadWaits   = layout.LoadWaits
)

type task struct{ ctx, load uint64 }

type load struct {
	req, kreq, wait uint64
	tid, tgid       uint32
	flags           uint32
	name            string
	rests, spawns   uint32
}

type request struct {
	id, load, parent, next uint64
	tid, child, hop        uint32
	many                   bool
	name                   string
}

type owner struct {
	start    uint64
	abi, pid uint32
	links    uint32
	complete bool
	spawns   bool
}

type flags struct {
	lossy         bool
	rests, spawns uint32
}

func (m *Maps) task(pid int) (task, bool) {
	v, ok := m.lookup32(m.tasks, uint32(pid), taskSize)
	if pid <= 0 || !ok {
		return task{}, false
	}
	return task{u64(v[layout.TaskCtx:]), u64(v[layout.TaskLoad:])}, true
}

func (m *Maps) load(id uint64) (load, bool) {
	v, ok := m.lookup64(m.loads, id, loadSize)
	if id == 0 || !ok {
		return load{}, false
	}
	return load{req: u64(v[layout.LoadReq:]), kreq: u64(v[layout.LoadKreq:]), wait: u64(v[layout.LoadWait:]),
		tid: u32(v[layout.LoadTID:]), tgid: u32(v[layout.LoadTGID:]), flags: u32(v[layout.LoadFlags:]), name: text(v[layout.LoadName:][:nameLen]),
		rests: u32(v[layout.LoadRests:]), spawns: u32(v[layout.LoadSpawns:])}, true
}

func (m *Maps) request(id uint64) (request, bool) {
	v, ok := m.lookup64(m.requests, id, requestSize)
	if id == 0 || !ok {
		return request{}, false
	}
	return request{id: u64(v[layout.RequestID:]), load: u64(v[layout.RequestLoad:]), parent: u64(v[layout.RequestParent:]), next: u64(v[layout.RequestNext:]),
		tid: u32(v[layout.RequestTID:]), child: u32(v[layout.RequestChild:]), hop: u32(v[layout.RequestHop:]),
		many: u32(v[layout.RequestMany:]) != 0, name: text(v[layout.RequestName:][:nameLen])}, true
}

// name returns the load whose init runs for a module.
func (m *Maps) name(module string) (uint64, bool) {
	if len(module) >= nameLen {
		return 0, false
	}
	clear(m.buf.key[copy(m.buf.key[:], module):])
	v, ok := m.lookup(m.names, 8)
	if !ok {
		return 0, false
	}
	return u64(v), true
}

func (m *Maps) readOwner() (owner, bool) {
	v, ok := m.lookup32(m.owner, 0, ownerSize)
	if !ok {
		return owner{}, false
	}
	return owner{start: u64(v[layout.OwnerStart:]), abi: u32(v[layout.OwnerABI:]), pid: u32(v[layout.OwnerPID:]),
		links: u32(v[layout.OwnerLinks:]), complete: u32(v[layout.OwnerComplete:]) != 0, spawns: u32(v[layout.OwnerSpawns:]) != 0}, true
}

// lossy reports whether a map was full and something is missing in it.
func (m *Maps) lossy() bool {
	f, ok := m.readFlags()
	return !ok || f.lossy
}

func (m *Maps) readFlags() (flags, bool) {
	v, ok := m.lookup32(m.flags, 0, flagsSize)
	if !ok {
		return flags{}, false
	}
	return flags{lossy: u32(v[layout.FlagsLossy:]) != 0, rests: u32(v[layout.FlagsRests:]), spawns: u32(v[layout.FlagsSpawns:])}, true
}

// openCreating opens the map that is read only before a thread is said not to be an
// init's. It must be of the same probe as the others.
func (m *Maps) openCreating() bool {
	fd, err := mapGet(m.dir + "/creating")
	if err != nil {
		return false
	}
	var st unix.Stat_t
	if m.keeper < 0 && (unix.Lstat(m.dir, &st) != nil || st.Ino != m.ino) {
		unix.Close(fd)
		return false
	}
	m.creating = fd
	return true
}

// creatingMost bounds the look at who is in kthread_create.
const creatingMost = 64

// noneCreating reports whether nobody is in kthread_create for a load, as far as
// the probe saw, since the probe last had nothing in flight.
func (m *Maps) noneCreating(rests uint32) bool {
	if m.creating < 0 && !m.openCreating() {
		return false
	}
	after := false
	var key uint32
	for range creatingMost {
		next, errno := m.nextKey(m.creating, key, after)
		if errno == unix.ENOENT {
			return true
		}
		if errno != 0 {
			return false
		}
		key, after = next, true
		if v, ok := m.lookup32(m.creating, key, layout.MakingSize); ok && u32(v[layout.MakingRests:]) == rests {
			return false
		}
	}
	return false
}

// encoding/binary would bring reflect into the start-up path.

func u32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func u64(b []byte) uint64 { return uint64(u32(b)) | uint64(u32(b[4:]))<<32 }

func putU32(b []byte, v uint32) {
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// buffers hold what the kernel reads and writes, and the attributes that name
// them by number: they must be in memory that does not move, so they are part
// of Maps, which is never on a stack.
type buffers struct {
	key   [nameLen]byte
	value [requestSize + loadSize]byte
	attr  struct {
		fd         uint32
		_          uint32
		key, value uint64
		flags      uint64
	}
}

func (m *Maps) lookup32(fd int, key uint32, size int) ([]byte, bool) {
	putU32(m.buf.key[:], key)
	return m.lookup(fd, size)
}

func (m *Maps) lookup64(fd int, key uint64, size int) ([]byte, bool) {
	putU32(m.buf.key[:], uint32(key))
	putU32(m.buf.key[4:], uint32(key>>32))
	return m.lookup(fd, size)
}

// lookup is bpf(2) with BPF_MAP_LOOKUP_ELEM. The result is valid until the next.
func (m *Maps) lookup(fd, size int) ([]byte, bool) {
	b := m.buf
	b.attr.fd = uint32(fd)
	b.attr.key = uint64(uintptr(unsafe.Pointer(&b.key)))
	b.attr.value = uint64(uintptr(unsafe.Pointer(&b.value)))
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_ELEM,
		uintptr(unsafe.Pointer(&b.attr)), unsafe.Sizeof(b.attr))
	return b.value[:size], errno == 0
}

// nextKey is bpf(2) with BPF_MAP_GET_NEXT_KEY, of a map whose keys have 32 bits.
func (m *Maps) nextKey(fd int, key uint32, after bool) (uint32, unix.Errno) {
	b := m.buf
	b.attr.fd, b.attr.key = uint32(fd), 0
	if after {
		putU32(b.key[:], key)
		b.attr.key = uint64(uintptr(unsafe.Pointer(&b.key)))
	}
	b.attr.value = uint64(uintptr(unsafe.Pointer(&b.value)))
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_GET_NEXT_KEY,
		uintptr(unsafe.Pointer(&b.attr)), unsafe.Sizeof(b.attr))
	return u32(b.value[:]), errno
}

// heap keeps what is named by number off the stack.
//
//lint:ignore U1000 written only: what matters is that the reference escapes
var heap any

// mapGet is bpf(2) with BPF_OBJ_GET.
func mapGet(path string) (int, error) {
	type get struct {
		path  uint64
		fd    uint32
		flags uint32
		name  [128]byte
	}
	a := new(get)
	if len(path) >= len(a.name) {
		return -1, unix.ENAMETOOLONG
	}
	heap = a // a global reference makes it escape
	copy(a.name[:], path)
	a.path, a.flags = uint64(uintptr(unsafe.Pointer(&a.name))), unix.BPF_F_RDONLY
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET,
		uintptr(unsafe.Pointer(a)), unsafe.Offsetof(a.name))
	heap = nil
	if errno != 0 {
		return -1, errno
	}
	unix.CloseOnExec(int(fd))
	return int(fd), nil
}

// kept reports whether the programs are attached: the keeper lives (a pidfd is
// readable from its end on), or nobody has said that the links go.
func (m *Maps) kept() bool {
	if m.keeper < 0 {
		o, ok := m.readOwner()
		return ok && o.abi == abi && o.pid == 0
	}
	fds := [1]unix.PollFd{{Fd: int32(m.keeper), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds[:], 0)
		if err != unix.EINTR {
			return err == nil && n == 0
		}
	}
}

// attached reports whether each link of a probe that stays is there. Without one,
// of what it would see nothing is recorded, or nothing ended.
func (m *Maps) attached() bool {
	if m.keeper >= 0 {
		return true // the links are the process's
	}
	o, ok := m.readOwner()
	if !ok {
		return false
	}
	var st unix.Stat_t
	for i := range int(o.links) {
		if unix.Lstat(m.dir+"/"+layout.Link+proc.Itoa(i), &st) != nil {
			return false
		}
	}
	return true
}

// alive reports whether a process is the one that had this start time (field
// 22 of /proc/PID/stat, in ticks since boot) and has not ended.
func alive(pid int, start uint64) (is bool) {
	p, err := proc.OpenProc()
	if err != nil {
		return false
	}
	defer p.Close()
	p.Bounded(func(p *proc.FS) {
		s, err := p.ProcessStat(pid)
		is = err == nil && !s.Held && s.Start == start && !s.Gone()
	})
	return is
}
