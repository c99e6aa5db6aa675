// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// ModuleState is a module's state as the kernel keeps it.
type ModuleState uint8

const (
	Unknown ModuleState = iota // no sysfs to ask, or no descriptor or memory to ask it with
	Absent                     // not there, or built in, or not yet visible
	Coming                     // its init runs
	Live
	Going
)

func (s ModuleState) String() string {
	return [...]string{"unknown", "absent", "coming", "live", "going"}[s]
}

// State reads /sys/module/NAME/initstate (show_initstate in
// kernel/module/sysfs.c): one open and one read when sysfs is mounted. name is
// in the kernel's spelling, with '_'; one that is not a single path element is
// Absent.
func State(name string) ModuleState {
	if !validModule(name) {
		return Absent
	}
	s, err := stateAt(unix.AT_FDCWD, "/sys/module/"+name+"/initstate", nil)
	if err == nil || !missing(err) {
		return s
	}
	if unix.Faccessat(unix.AT_FDCWD, "/sys/module", unix.F_OK, 0) != nil {
		return Unknown
	}
	return Absent
}

// State is the package's State, read from this sysfs.
func (f *FS) State(name string) ModuleState {
	if !validModule(name) {
		return Absent
	}
	s, err := stateAt(f.fd, "module/"+name+"/initstate", nil)
	if missing(err) {
		return Absent
	}
	return s
}

// ModuleID is a number by which the kernel tells this load of a module from those
// before and after it: that of its directory (kernfs_new_node numbers on).
func (f *FS) ModuleID(name string) (uint64, bool) {
	if !validModule(name) {
		return 0, false
	}
	var st unix.Stat_t
	if unix.Fstatat(f.fd, "module/"+name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return 0, false
	}
	return uint64(st.Ino), true
}

// Oopsed tells whether the kernel has had an oops or a BUG since it was started:
// TAINT_DIE in sys/kernel/tainted. False where it cannot be read.
func (f *FS) Oopsed() bool {
	b, err := f.Read("sys/kernel/tainted")
	if err != nil {
		return false
	}
	v, ok := Uint(bytes.TrimSpace(b))
	return ok && v&(1<<7) != 0
}

// Hides tells whether a procfs of ours may leave out the processes of others
// (hidepid= in proc(5)). True where that cannot be read.
func (f *FS) Hides() bool {
	b, err := f.Read("self/mountinfo")
	return err != nil || len(b) >= readLimit || bytes.Contains(b, []byte("hidepid="))
}

// StateNode is [FS.State], and a number that is another one for each load of
// the module: the inode of its file in sysfs. 0 where it is absent.
func (f *FS) StateNode(name string) (ModuleState, uint64) {
	if !validModule(name) {
		return Absent, 0
	}
	var node uint64
	s, err := stateAt(f.fd, "module/"+name+"/initstate", &node)
	if missing(err) {
		return Absent, 0
	}
	return s, node
}

// Loading are the modules whose init runs, by /proc/modules (m_show in
// kernel/module/procfs.c): one read for all of them.
func (f *FS) Loading() []string {
	b, err := f.Read("modules")
	if err != nil {
		return nil
	}
	var all []string
	Lines(b, func(line []byte) bool {
		name, rest := field(line)
		for range 3 { // size, count of users, users
			_, rest = field(rest)
		}
		if state, _ := field(rest); string(state) == "Loading" {
			all = append(all, string(name))
		}
		return true
	})
	return all
}

func missing(err error) bool { return err == unix.ENOENT || err == unix.ENOTDIR }

func stateAt(dir int, path string, node *uint64) (ModuleState, error) {
	fd, err := openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return Unknown, err
	}
	var b [16]byte
	n, err := unix.Read(fd, b[:])
	if node != nil {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil {
			*node = st.Ino
		}
	}
	unix.Close(fd)
	if err != nil || n <= 0 {
		return Absent, nil
	}
	s, _ := ParseState(b[:n])
	return s, nil
}

// ParseState reads the text of a file initstate; ok is false if it is no state.
func ParseState(text []byte) (s ModuleState, ok bool) {
	switch string(text) {
	case "coming\n":
		return Coming, true
	case "live\n":
		return Live, true
	case "going\n":
		return Going, true
	}
	return Absent, false
}

// validModule keeps a name that came from outside from leading elsewhere in
// sysfs; MODULE_NAME_LEN is 64 less a pointer.
func validModule(name string) bool {
	if name == "" || len(name) > 64 || name[0] == '.' {
		return false
	}
	for i := 0; i < len(name); i++ {
		if name[i] == '/' || name[i] == 0 {
			return false
		}
	}
	return true
}
