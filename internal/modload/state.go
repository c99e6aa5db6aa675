// SPDX-License-Identifier: Apache-2.0

package modload

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/strerror"
	"safeload/internal/syntax"
	"safeload/kmod"
)

// InitState of a module, as libkmod tells them apart.
type InitState int

const (
	StateUnknown InitState = iota // not loaded, or cannot be told
	StateBuiltin
	StateLive
	StateComing
	StateGoing
)

// SysModule is where modules are in sysfs. A name that somebody asks for ends
// at its first dot (package kmod), so that it does not lead out of there.
const SysModule = "/sys/module/"

// State is what sysfs says of a module: kmod_module_get_initstate.
func (r *Request) State(m *kmod.Module) (InitState, syscall.Errno) {
	if m.Builtin() {
		return StateBuiltin, 0
	}
	dir := SysModule + m.Name
	path := dir + "/initstate"
	var buf [31]byte
	n, opened, err := ReadSmall(path, buf[:])
	if !opened {
		// A directory without initstate: the module is being set up.
		var st unix.Stat_t
		serr := unix.Stat(dir, &st)
		if serr == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return StateComing, 0
		}
		if serr != nil {
			return StateUnknown, Errno(serr)
		}
		return StateUnknown, Errno(err)
	}
	if err != nil {
		r.Teller.Lib(kmod.LogErr, "kmod_module_get_initstate",
			"could not read from '"+path+"': "+strerror.Text(Errno(err))+"\n")
		return StateUnknown, Errno(err)
	}
	switch string(buf[:n]) {
	case "live\n":
		return StateLive, 0
	case "coming\n":
		return StateComing, 0
	case "going\n":
		return StateGoing, 0
	}
	r.Teller.Lib(kmod.LogErr, "kmod_module_get_initstate", "unknown "+path+": '"+string(buf[:n])+"'\n")
	return StateUnknown, syscall.EINVAL
}

// inKernel reports whether there is nothing left to load.
func (r *Request) inKernel(m *kmod.Module) bool {
	s, _ := r.State(m)
	return s == StateLive || s == StateBuiltin
}

// RefCount reads how often a module is in use.
func (r *Request) RefCount(m *kmod.Module) (n int, errno syscall.Errno) {
	dir := SysModule + m.Name
	path := dir + "/refcnt"
	var buf [31]byte
	size, opened, err := ReadSmall(path, buf[:])
	if !opened {
		return 0, Errno(err)
	}
	value, ok := ParseLong(string(buf[:size]))
	if err == nil && !ok {
		err = syscall.EINVAL
	}
	if err != nil {
		r.Teller.Lib(kmod.LogErr, "kmod_module_get_refcnt", "could not read integer from '"+path+
			"': '"+strerror.Text(Errno(err))+"'\n")
		return 0, Errno(err)
	}
	return int(int32(value)), 0
}

// Holders are the modules that use m, in the order of the directory.
func (r *Request) Holders(m *kmod.Module) (list []*kmod.Module) {
	dir := SysModule + m.Name + "/holders"
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		r.Teller.Lib(kmod.LogErr, "kmod_module_get_holders",
			"could not open '"+dir+"': "+strerror.Text(Errno(err))+"\n")
		return nil
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	for {
		n, err := unix.Getdents(fd, buf)
		if n <= 0 || err != nil {
			return list
		}
		for b := buf[:n]; len(b) > 19; { // struct linux_dirent64
			size := int(b[16]) | int(b[17])<<8 // little-endian
			if size <= 19 || size > len(b) {
				return list
			}
			name := b[19:size]
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			if s := string(name); s != "." && s != ".." {
				list = append(list, r.Modules.ByName(s))
			}
			b = b[size:]
		}
	}
}

// ReadSmall reads a file of sysfs. With opened false, err is that of open(2).
func ReadSmall(path string, buf []byte) (n int, opened bool, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false, err
	}
	for n < len(buf) {
		m, e := unix.Read(fd, buf[n:])
		if e == unix.EINTR || e == unix.EAGAIN {
			continue
		}
		if e != nil {
			err = e
			break
		}
		if m == 0 {
			break
		}
		n += m
	}
	unix.Close(fd)
	return n, true, err
}

// ParseLong reads a decimal number as libkmod's read_str_long does, by
// strtol(3): blanks and a sign may come before it, and a blank must follow.
func ParseLong(s string) (n int, ok bool) {
	i, neg := 0, false
	for i < len(s) && syntax.IsSpace(s[i]) {
		i++
	}
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	start := i
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		// Downwards, where there is one number more.
		d := int(s[i] - '0')
		if n < (math.MinInt+d)/10 {
			return 0, false
		}
		n = n*10 - d
	}
	if i == start || i == len(s) || !syntax.IsSpace(s[i]) || !neg && n == math.MinInt {
		return 0, false
	}
	if !neg {
		n = -n
	}
	return n, true
}
