// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/strerror"
	"safeload/kmod"
)

// initState of a module, as libkmod tells them apart.
type initState int

const (
	stateUnknown initState = iota // not loaded, or cannot be told
	stateBuiltin
	stateLive
	stateComing
	stateGoing
)

func (p *program) state(m *kmod.Module) (initState, syscall.Errno) {
	if m.Builtin() {
		return stateBuiltin, 0
	}
	dir, ok := sysModule(m.Name)
	if !ok {
		return stateUnknown, syscall.ENOENT
	}
	path := dir + "/initstate"
	var buf [31]byte
	n, opened, err := readSmall(path, buf[:])
	if !opened {
		// A directory without initstate: the module is being set up.
		var st unix.Stat_t
		serr := unix.Stat(dir, &st)
		if serr == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return stateComing, 0
		}
		if serr != nil {
			return stateUnknown, kmod.Errno(serr)
		}
		return stateUnknown, kmod.Errno(err)
	}
	if err != nil {
		p.log.lib(kmod.LogErr, "kmod_module_get_initstate",
			"could not read from '"+path+"': "+strerror.Text(kmod.Errno(err))+"\n")
		return stateUnknown, kmod.Errno(err)
	}
	switch string(buf[:n]) {
	case "live\n":
		return stateLive, 0
	case "coming\n":
		return stateComing, 0
	case "going\n":
		return stateGoing, 0
	}
	p.log.lib(kmod.LogErr, "kmod_module_get_initstate", "unknown "+path+": '"+string(buf[:n])+"'\n")
	return stateUnknown, syscall.EINVAL
}

// inKernel reports whether there is nothing left to load.
func (p *program) inKernel(m *kmod.Module) bool {
	s, _ := p.state(m)
	return s == stateLive || s == stateBuiltin
}

// refcount reads how often a module is in use.
func (p *program) refcount(m *kmod.Module) (n int, errno syscall.Errno) {
	dir, ok := sysModule(m.Name)
	if !ok {
		return 0, syscall.ENOENT
	}
	path := dir + "/refcnt"
	var buf [31]byte
	size, opened, err := readSmall(path, buf[:])
	if !opened {
		return 0, kmod.Errno(err)
	}
	value, ok := parseLong(string(buf[:size]))
	if err == nil && !ok {
		err = syscall.EINVAL
	}
	if err != nil {
		p.log.lib(kmod.LogErr, "kmod_module_get_refcnt", "could not read integer from '"+path+
			"': '"+strerror.Text(kmod.Errno(err))+"'\n")
		return 0, kmod.Errno(err)
	}
	return value, 0
}

// holders are the modules that use m, in the order of the directory.
func (p *program) holders(m *kmod.Module) (list []*kmod.Module) {
	dir, ok := sysModule(m.Name)
	if !ok {
		dir = "/sys/module/" + m.Name
	}
	dir += "/holders"
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		p.log.lib(kmod.LogErr, "kmod_module_get_holders",
			"could not open '"+dir+"': "+strerror.Text(kmod.Errno(err))+"\n")
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
				list = append(list, p.ctx.ByName(s))
			}
			b = b[size:]
		}
	}
}

// sysModule gives a module's directory in sysfs. A name with a slash is no
// module's and must not lead elsewhere.
func sysModule(name string) (dir string, ok bool) {
	for i := 0; i < len(name); i++ {
		if name[i] == '/' || name[i] == 0 {
			return "", false
		}
	}
	if name == "" || name == "." || name == ".." {
		return "", false
	}
	return "/sys/module/" + name, true
}

// readSmall reads a file of sysfs. With opened false, err is that of open(2).
func readSmall(path string, buf []byte) (n int, opened bool, err error) {
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

// parseLong reads a decimal number followed by a blank or newline.
func parseLong(s string) (n int, ok bool) {
	i, neg := 0, false
	if i < len(s) && s[i] == '-' {
		neg = true
		i++
	}
	start := i
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		if n > (1<<31-10)/10 {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	if i == start || i == len(s) || s[i] != '\n' && s[i] != ' ' {
		return 0, false
	}
	if neg {
		n = -n
	}
	return n, true
}
