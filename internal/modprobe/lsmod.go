// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/modload"
	"safeload/internal/strerror"
	"safeload/kmod"
)

func (p *program) lsmod() bool {
	operands, stop, ok := p.parse(&applet{short: "svVh", long: commonOptions, help: lsmodHelp})
	if stop {
		return ok
	}
	if len(operands) > 0 {
		p.log.err("too many arguments provided.\n")
		return false
	}
	p.load(moduleRoot + "/" + release())
	p.setLevel()
	defer p.log.lib(kmod.LogInfo, "kmod_unref", "context 0x1 released\n")
	modules, opened, err := readFile("/proc/modules")
	if !opened {
		text := strerror.Text(modload.Errno(err))
		p.log.lib(kmod.LogErr, "kmod_module_new_from_loaded", "could not open /proc/modules: "+text+"\n")
		p.log.err("could not get list of modules: ", text, "\n")
		return false
	}
	lines := moduleLines(string(modules))
	p.out.print("Module                  Size  Used by\n")
	for _, line := range lines {
		name, _ := field(line)
		if name == "" {
			continue
		}
		m := p.Modules.ByName(name)
		used, errno := p.RefCount(m)
		if errno != 0 {
			used = -int(errno)
		}
		p.out.print(pad(m.Name, 19, false), " ", pad(strconv.Itoa(p.coreSize(m, lines)), 8, true), "  ", strconv.Itoa(used))
		sep := " "
		for _, h := range p.Holders(m) {
			p.out.print(sep, h.Name)
			sep = ","
		}
		p.out.print("\n")
	}
	return true
}

// moduleLines splits /proc/modules as kmod_module_new_from_loaded does with
// fgets(3): each line with its end, but only what 4095 bytes hold of it.
func moduleLines(s string) (lines []string) {
	const most = 4095
	for len(s) > 0 {
		n := 0
		for n < len(s) && s[n] != '\n' {
			n++
		}
		n = min(n+1, len(s))
		lines = append(lines, s[:min(n, most)])
		s = s[n:]
	}
	return lines
}

// coreSize is the size in sysfs (since Linux 3.3), or the one of /proc/modules.
func (p *program) coreSize(m *kmod.Module, lines []string) int {
	dir := modload.SysModule + m.Name
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -int(modload.Errno(err))
	}
	unix.Close(fd)
	var buf [31]byte
	n, opened, err := modload.ReadSmall(dir+"/coresize", buf[:])
	if opened {
		size, ok := modload.ParseLong(string(buf[:n]))
		if err != nil || !ok {
			p.log.lib(kmod.LogErr, "kmod_module_get_size", "failed to read coresize from "+dir+"\n")
			return 0
		}
		return size
	}
	for i, line := range lines {
		name, rest := field(line)
		if name != m.Name {
			continue
		}
		word, _ := field(rest)
		// The newline after a number stands for the blank that ends one.
		if size, ok := modload.ParseLong(word + "\n"); ok && size >= 0 && word[len(word)-1] != '\n' {
			return size
		}
		p.log.lib(kmod.LogErr, "kmod_module_get_size", "invalid line format at /proc/modules:"+strconv.Itoa(i+1)+"\n")
		break
	}
	return -int(syscall.ENOENT)
}

// field takes the next word of s.
func field(s string) (word, rest string) {
	i := 0
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	j := i
	for j < len(s) && s[j] != ' ' && s[j] != '\t' {
		j++
	}
	return s[i:j], s[j:]
}

func pad(s string, width int, left bool) string {
	for len(s) < width {
		if left {
			s = " " + s
		} else {
			s += " "
		}
	}
	return s
}

// readFile reads a file whose size is not known before. With opened false, err
// is that of open(2); what was read before another error is returned with it.
func readFile(path string) (buf []byte, opened bool, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false, err
	}
	defer unix.Close(fd)
	return readOpen(fd, 1<<30)
}

// maxModinfo is far beyond what a kernel has in modules.builtin.modinfo.
const maxModinfo = 64 << 20

// readRegular is readFile of a tree's file, which may be a stranger's: a pipe or
// a device in its place is an EINVAL, and what is larger than limit an EFBIG.
func readRegular(path string, limit int) (buf []byte, opened bool, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, false, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	switch err := unix.Fstat(fd, &st); {
	case err != nil:
		return nil, true, err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil, true, unix.EISDIR // what read(2) says to kmod
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, true, unix.EINVAL
	case st.Size > int64(limit):
		return nil, true, unix.EFBIG
	}
	return readOpen(fd, limit)
}

func readOpen(fd, limit int) (buf []byte, opened bool, err error) {
	buf = make([]byte, 0, 1<<16)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return buf, true, err
		}
		if n == 0 {
			return buf, true, nil
		}
		if buf = buf[:len(buf)+n]; len(buf) > limit {
			return buf, true, unix.EFBIG
		}
	}
}
