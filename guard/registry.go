// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"

	"golang.org/x/sys/unix"

	"safeload/internal/proc"
)

const (
	defaultDir = "/run/safeload"

	stateLoad    = "load"    // in finit_module or init_module, or about to be
	stateWait    = "wait"    // waits in user space for a coming module
	stateCommand = "command" // waits for an install or remove command

	maxEntry   = 4096 // bytes
	maxEntries = 4096
)

// entry is what one invocation says of itself. A registry file is one entry,
// named PID.START, a key=value a line.
type entry struct {
	pid     int
	start   uint64 // ticks since boot, as /proc/PID/stat
	state   string
	token   string
	parent  string // the token it was started with
	depth   int    // invocations above it; 0 with no parent
	module  string
	path    string
	file    inode // that module stands in; zero: module is but the file's name
	request string
	since   int64 // ns, CLOCK_BOOTTIME

	command string // of stateCommand: whether it is an install or a remove command of module
	plain   bool   // and whether it calls modprobe and does nothing else
}

// entry is what an invocation says of a load.
func (l *Load) entry(state string) entry {
	e := entry{state: state, module: l.Module, path: l.Path}
	if l.named {
		e.file = l.file
	}
	return e
}

// registry is the directory of entries. Everything in it is believed only when
// root alone can have written it.
type registry struct {
	dir    string
	fd     int
	name   string // of our own entry; empty: none
	locked bool
	// foreign: we are in another pid namespace than the machine's, and the pids
	// of the entries mean nothing here.
	foreign bool
	err     error // why there is no directory

	looking int // descriptor of the lock of who looks first; 0: not ours

	memory int // descriptor of what stands in for our entry; 0: none
}

// open makes sure of the directory: 0700, ours, no link.
func (r *registry) open() error {
	if r.fd >= 0 {
		return nil
	}
	if r.err != nil {
		return r.err
	}
	r.fd, r.err = openDir(r.dir)
	return r.err
}

func openDir(dir string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(dir, flags, 0)
	if err == unix.ENOENT {
		if err := unix.Mkdir(dir, 0o700); err != nil && err != unix.EEXIST {
			return -1, err
		}
		fd, err = unix.Open(dir, flags, 0)
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if int(st.Uid) != unix.Geteuid() {
		unix.Close(fd)
		return -1, unix.EPERM
	}
	if st.Mode&0o077 != 0 {
		if err := unix.Fchmod(fd, 0o700); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// holds tells whether the registry has a descriptor open.
func (r *registry) holds() bool { return r.fd >= 0 || r.memory != 0 }

// lock holds the directory against everybody else who would refuse, until
// unlock, publish, close or our end. Where there is none it cannot fail:
// nothing is told to others either.
func (r *registry) lock() bool {
	if r.open() != nil {
		return true
	}
	err := unix.Flock(r.fd, unix.LOCK_EX|unix.LOCK_NB)
	r.locked = err == nil
	return err != unix.EWOULDBLOCK
}

func (r *registry) unlock() {
	if r.locked {
		_ = unix.Flock(r.fd, unix.LOCK_UN)
		r.locked = false
	}
}

func (r *registry) close() {
	r.looksNoMore()
	if r.fd >= 0 {
		unix.Close(r.fd)
		r.fd, r.locked = -1, false
	}
}

// publish writes our entry, or replaces it at one stroke.
func (r *registry) publish(e entry) error {
	if err := r.open(); err != nil {
		return err
	}
	r.unlock()
	name := proc.Itoa(e.pid) + "." + proc.Utoa(e.start)
	if err := r.replace(name, "."+name, e.format()); err != nil {
		r.retract() // what it said before holds no longer
		return err
	}
	r.name = name
	return nil
}

// replace writes a file at one stroke. temp is a name that only we use.
func (r *registry) replace(name, temp string, b []byte) error {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(r.fd, temp, flags, 0o600)
	if err == unix.EEXIST { // left by one killed in between, pid and start alike: us
		_ = unix.Unlinkat(r.fd, temp, 0)
		fd, err = unix.Openat(r.fd, temp, flags, 0o600)
	}
	if err != nil {
		return err
	}
	n, err := unix.Write(fd, b)
	if err == nil && n != len(b) {
		err = unix.ENOSPC
	}
	unix.Close(fd)
	if err == nil {
		err = unix.Renameat(r.fd, temp, r.fd, name)
	}
	if err != nil {
		_ = unix.Unlinkat(r.fd, temp, 0)
	}
	return err
}

// retract removes our entry.
func (r *registry) retract() {
	if r.name != "" && r.fd >= 0 {
		_ = unix.Unlinkat(r.fd, r.name, 0)
		r.name = ""
	}
	r.withdraw()
}

// read returns the entries of those alive, and removes what the dead left.
func (r *registry) read(p *proc.FS) ([]entry, error) {
	if err := r.open(); err != nil || r.foreign {
		return nil, err
	}
	dir, err := unix.Openat(r.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	var all []entry
	seen := 0
	err = proc.ReadNames(dir, func(name string) bool {
		if seen++; seen > maxEntries {
			return false
		}
		temp := len(name) > 1 && name[0] == '.'
		id := name
		if temp {
			id = name[1:]
		}
		pid, start, ok := splitName(id)
		if !ok {
			return true
		}
		life := lives(p, pid, start)
		if life == ended {
			_ = unix.Unlinkat(r.fd, name, 0)
		}
		if temp || life != living {
			return true
		}
		if e, ok := r.readEntry(name); ok && e.pid == pid && e.start == start {
			all = append(all, e)
		}
		return true
	})
	return all, err
}

// life is what is known of the process that wrote an entry.
type life uint8

const (
	ended life = iota
	living
	hidden // neither is certain: not to be believed, nor removed
)

// lives looks for the process that wrote an entry: the same pid is not enough.
func lives(p *proc.FS, pid int, start uint64) life {
	if p == nil {
		if unix.Kill(pid, 0) == unix.ESRCH {
			return ended
		}
		return living
	}
	// Who belongs to another user has only come to have the pid, and is not asked.
	if o, err := p.Outline(pid, pid); err == nil && o.User >= 0 && o.User != unix.Geteuid() {
		return ended
	}
	s, err := p.ProcessStat(pid)
	switch {
	case err == nil && s.Held:
		return hidden
	case err == nil && s.Start == start && !s.Gone():
		return living
	case err == nil:
		return ended
	case (err == unix.ENOENT || err == unix.ESRCH) && unix.Kill(pid, 0) == unix.ESRCH:
		return ended
	}
	return hidden // by proc(5)'s hidepid, or it cannot be read now
}

func splitName(name string) (pid int, start uint64, ok bool) {
	i := bytes.IndexByte([]byte(name), '.')
	if i <= 0 {
		return 0, 0, false
	}
	p, ok1 := proc.Uint([]byte(name[:i]))
	s, ok2 := proc.Uint([]byte(name[i+1:]))
	return int(p), s, ok1 && ok2 && p > 0 && p < 1<<31
}

func (r *registry) readEntry(name string) (entry, bool) {
	var b [maxEntry]byte
	n, ok := r.readOwn(name, b[:])
	if !ok {
		return entry{}, false
	}
	return parseEntry(b[:n])
}

// readOwn reads a file that root alone can have written, and that fits into b.
func (r *registry) readOwn(name string, b []byte) (int, bool) {
	fd, err := unix.Openat(r.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG ||
		int(st.Uid) != unix.Geteuid() || st.Mode&0o077 != 0 || st.Nlink != 1 || st.Size > int64(len(b)) {
		return 0, false
	}
	n, err := unix.Read(fd, b)
	return n, err == nil
}

func (e *entry) format() []byte {
	b := make([]byte, 0, 512)
	add := func(key, value string) {
		if value == "" || len(b)+len(value)+len(key)+3 > maxEntry {
			return
		}
		b = append(append(b, key...), '=')
		for i := 0; i < len(value); i++ {
			c := value[i]
			if c < ' ' {
				c = '?'
			}
			b = append(b, c)
		}
		b = append(b, '\n')
	}
	add("schema", "1")
	add("pid", proc.Itoa(e.pid))
	add("start", proc.Utoa(e.start))
	add("state", e.state)
	add("token", e.token)
	add("parent", e.parent)
	add("depth", proc.Itoa(e.depth))
	add("since", proc.Utoa(uint64(e.since)))
	add("module", e.module)
	add("path", e.path)
	if e.file != (inode{}) {
		add("file", proc.Utoa(e.file.dev)+":"+proc.Utoa(e.file.ino))
	}
	add("request", e.request)
	add("command", e.command)
	if e.plain {
		add("plain", "1")
	}
	return b
}

func parseEntry(b []byte) (e entry, ok bool) {
	schema := ""
	ok = true
	proc.Lines(b, func(line []byte) bool {
		i := bytes.IndexByte(line, '=')
		if i <= 0 {
			ok = false
			return false
		}
		v := string(line[i+1:])
		number := func() uint64 {
			n, good := proc.Uint([]byte(v))
			ok = ok && good
			return n
		}
		switch string(line[:i]) {
		case "schema":
			schema = v
		case "pid":
			n := number()
			ok = ok && n > 0 && n < 1<<31
			e.pid = int(n)
		case "start":
			e.start = number()
		case "since":
			n := number()
			ok = ok && n < 1<<63
			e.since = int64(n)
		case "state":
			e.state = v
		case "token":
			e.token = v
		case "parent":
			e.parent = v
		case "depth":
			n := number()
			ok = ok && n <= maxDepth
			e.depth = int(n)
		case "module":
			e.module = v
		case "path":
			e.path = v
		case "file":
			dev, ino, _ := bytes.Cut([]byte(v), []byte{':'})
			var good [2]bool
			e.file.dev, good[0] = proc.Uint(dev)
			e.file.ino, good[1] = proc.Uint(ino)
			ok = ok && good[0] && good[1]
		case "request":
			e.request = v
		case "command":
			e.command = v
		case "plain":
			e.plain = v == "1"
		}
		return ok
	})
	switch e.state {
	case stateLoad, stateWait:
		ok = ok && e.module != ""
	case stateCommand:
	default:
		ok = false
	}
	return e, ok && schema == "1" && e.pid > 0 && validToken(e.token) && (e.parent == "" || validToken(e.parent))
}

// count adds a verdict to the statistics that live until reboot.
func (r *registry) count(v Verdict, refused *Refused) {
	if r.open() != nil {
		return
	}
	appendTo(r.fd, "verdicts", []byte{v.letter(refused)}, 4<<20)
	if refused != nil {
		appendTo(r.fd, "refusals", append([]byte(refused.Error()), '\n'), 64<<10)
	}
}

func appendTo(dir int, name string, b []byte, limit int64) {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size < limit {
		_, _ = unix.Write(fd, b)
	}
}

// remember notes that a request was refused on suspicion because of a load,
// which goes on, and of the thread that it is taken to wait for. A file a
// module, with the thread that loads. A worker is at one item after another,
// so what it was at says nothing of its next request.
func (r *registry) remember(module string, owners []*task, tie *task) {
	if r.open() != nil || len(owners) != 1 || !plainName(module) || tie != nil && tie.Worker() {
		return
	}
	name := "suspect-" + module
	_ = unix.Unlinkat(r.fd, name, 0)
	appendTo(r.fd, name, suspectID(owners[0], tie), maxEntry)
}

// remembers tells whether that same load was the reason before, and for the
// same thread.
func (r *registry) remembers(module string, owners []*task, tie *task) bool {
	if r.open() != nil || len(owners) != 1 || !plainName(module) || tie != nil && tie.Worker() {
		return false
	}
	var b [128]byte
	n := r.readNote("suspect-"+module, b[:])
	return n > 0 && bytes.Equal(b[:n], suspectID(owners[0], tie))
}

// readNote reads a short file into b, and returns how much there is of it.
func (r *registry) readNote(name string, b []byte) int {
	fd, err := unix.Openat(r.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, b)
	if err != nil {
		return 0
	}
	return n
}

func suspectID(owner, tie *task) []byte {
	id := loadID(owner)
	if tie != nil {
		id = append(append(id, ' '), loadID(tie)...)
	}
	return id
}

func loadID(t *task) []byte {
	return []byte(proc.Itoa(t.TID) + "." + proc.Utoa(t.Start))
}

func plainName(s string) bool {
	return s != "" && len(s) <= 64 && bytes.IndexByte([]byte(s), '/') < 0
}
