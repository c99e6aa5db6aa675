// SPDX-License-Identifier: Apache-2.0

// Package registry is what invocations of safeload say of themselves: each has an
// entry while it loads, waits or runs a command; a token, which its children
// carry in their environment and as a cgroup; and, where no entry can be
// written, a memfd. It also keeps the records that invocations leave for each
// other: a load that failed, what a look found, a module whose init is dead,
// verdicts, and how many lines were said.
//
// It knows no verdict. What is read here root has written, of processes that are
// still there.
package registry

import (
	"bytes"

	"golang.org/x/sys/unix"

	"safeload/internal/limits"
	"safeload/internal/proc"
)

// DefaultDir is where invocations find each other.
const DefaultDir = "/run/safeload"

// Registry is the directory of entries. Everything in it is believed only when
// root alone can have written it.
type Registry struct {
	dir     string
	fd      int
	name    string // of our own entry; empty: none
	hasLock bool
	// foreign: we are in another pid namespace than the machine's, and the pids
	// of the entries mean nothing here.
	Foreign bool
	err     error // why there is no directory

	looking int // descriptor of the lock of who looks first; 0: not ours

	memory int // descriptor of what stands in for our entry; 0: none
}

// New is the registry in a directory, which is made when it is needed.
// Empty: /run/safeload.
func New(dir string) Registry {
	if dir == "" {
		dir = DefaultDir
	}
	return Registry{dir: dir, fd: -1}
}

// Existing is the registry in a directory that is never made.
func Existing(dir string) Registry {
	r := New(dir)
	var st unix.Stat_t
	if unix.Lstat(r.dir, &st) != nil {
		r.err = unix.ENOENT
	}
	return r
}

// Open makes sure of the directory: 0700, ours, no link.
func (r *Registry) Open() error {
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

// HasDescriptor tells whether the registry has a descriptor open.
func (r *Registry) HasDescriptor() bool { return r.fd >= 0 || r.memory != 0 }

// Published tells whether our entry stands in the directory.
func (r *Registry) Published() bool { return r.name != "" }

// Announces tells whether a memfd of ours says what the entry would.
func (r *Registry) Announces() bool { return r.memory != 0 }

// Lock holds the directory against everybody else who would refuse, until
// Unlock, Publish, Retract, Close or our end. Where there is none it cannot fail:
// nothing is told to others either.
func (r *Registry) Lock() bool {
	if r.Open() != nil {
		return true
	}
	err := unix.Flock(r.fd, unix.LOCK_EX|unix.LOCK_NB)
	r.hasLock = err == nil
	return err != unix.EWOULDBLOCK
}

// Locked tells whether we hold the directory.
func (r *Registry) Locked() bool { return r.hasLock }

// Unlock lets go of what Lock holds.
func (r *Registry) Unlock() {
	if r.hasLock {
		_ = unix.Flock(r.fd, unix.LOCK_UN)
		r.hasLock = false
	}
}

// Close closes the directory, which ends Lock. Our entry stays.
func (r *Registry) Close() {
	r.ReleaseLook()
	if r.fd >= 0 {
		unix.Close(r.fd)
		r.fd, r.hasLock = -1, false
	}
}

// Publish writes our entry, or replaces it at one stroke.
func (r *Registry) Publish(e Entry) error {
	if err := r.Open(); err != nil {
		return err
	}
	r.Unlock()
	name := proc.Itoa(e.PID) + "." + proc.Utoa(e.Start)
	if err := r.replace(name, "."+name, e.format()); err != nil {
		r.Retract() // what it said before holds no longer
		return err
	}
	r.name = name
	return nil
}

// replace writes a file at one stroke. temp is a name that only we use.
func (r *Registry) replace(name, temp string, b []byte) error {
	if err := limits.FileSize(int64(len(b))); err != nil {
		return err
	}
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

// Retract removes our entry, and ends Lock: who has refused a load waits no more,
// and others need not wait for him to end.
func (r *Registry) Retract() {
	if r.name != "" && r.fd >= 0 {
		_ = unix.Unlinkat(r.fd, r.name, 0)
		r.name = ""
	}
	r.withdraw()
	r.Unlock()
}

// Read returns the entries of those alive, and removes what the dead left.
func (r *Registry) Read(p *proc.FS) ([]Entry, error) {
	if err := r.Open(); err != nil || r.Foreign {
		return nil, err
	}
	dir, err := unix.Openat(r.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	var all []Entry
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
		if e, ok := r.readEntry(name); ok && e.PID == pid && e.Start == start {
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
	// A process of another user has only come to have this pid. Do not read its
	// stat, which it may hold.
	if o, err := p.Outline(pid, pid); err == nil && o.User >= 0 && o.User != int64(unix.Geteuid()) {
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

// readOwn reads a file that root alone can have written, and that fits into b.
func (r *Registry) readOwn(name string, b []byte) (int, bool) {
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

func (r *Registry) readEntry(name string) (Entry, bool) {
	var b [maxEntry]byte
	n, ok := r.readOwn(name, b[:])
	if !ok {
		return Entry{}, false
	}
	return parseEntry(b[:n])
}
