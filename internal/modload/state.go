// SPDX-License-Identifier: Apache-2.0

package modload

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/proc"
	"safeload/internal/strerror"
	"safeload/internal/syntax"
	"safeload/kmod"
)

// SysModule is the directory of the modules in sysfs. Package kmod ends a requested
// name at its first dot, so that a name does not lead out of the directory.
const SysModule = "/sys/module/"

// State is what sysfs says of a module that is not built in, as libkmod's
// kmod_module_get_initstate tells it.
func (r *Request) State(m *kmod.Module) (proc.ModuleState, syscall.Errno) {
	dir := SysModule + m.Name
	path := dir + "/initstate"
	var buf [31]byte
	n, opened, err := ReadSmall(path, buf[:])
	if !opened {
		// A directory without initstate: the module is being set up.
		var st unix.Stat_t
		serr := unix.Stat(dir, &st)
		if serr == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return proc.Coming, 0
		}
		if serr != nil {
			return proc.Unknown, Errno(serr)
		}
		return proc.Unknown, Errno(err)
	}
	if err != nil {
		r.Teller.Lib(kmod.LogErr, "kmod_module_get_initstate",
			"could not read from '"+path+"': "+strerror.Text(Errno(err))+"\n")
		return proc.Unknown, Errno(err)
	}
	if state, ok := proc.ParseState(buf[:n]); ok {
		return state, 0
	}
	r.Teller.Lib(kmod.LogErr, "kmod_module_get_initstate", "unknown "+path+": '"+string(buf[:n])+"'\n")
	return proc.Unknown, syscall.EINVAL
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

// ReadSmall reads a file of sysfs. If opened is false, err is the error of open(2).
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
