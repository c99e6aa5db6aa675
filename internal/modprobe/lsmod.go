// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"golang.org/x/sys/unix"
	"strconv"

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
	modules, err := readFile("/proc/modules")
	if err != nil {
		text := strerror.Text(errnoOf(err))
		p.log.lib(kmod.LogErr, "kmod_module_new_from_loaded", "could not open /proc/modules: "+text+"\n")
		p.log.err("could not get list of modules: ", text, "\n")
		return false
	}
	p.out.print("Module                  Size  Used by\n")
	for len(modules) > 0 {
		line := modules
		for i := range modules {
			if modules[i] == '\n' {
				line = modules[:i]
				break
			}
		}
		modules = modules[min(len(line)+1, len(modules)):]
		name, rest := field(string(line))
		if name == "" {
			continue
		}
		m := p.ctx.ByName(name)
		size, _ := field(rest)
		used, errno := p.refcount(m)
		if errno != 0 {
			used = -int(errno)
		}
		p.out.print(pad(m.Name, 19, false), " ", pad(p.coreSize(m, size), 8, true), "  ", strconv.Itoa(used))
		sep := " "
		for _, h := range p.holders(m) {
			p.out.print(sep, h.Name)
			sep = ","
		}
		p.out.print("\n")
	}
	return true
}

// coreSize is the size in sysfs (since Linux 3.3), or the one of /proc/modules.
func (p *program) coreSize(m *kmod.Module, fallback string) string {
	dir := sysModule + m.Name
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return strconv.Itoa(-int(errnoOf(err)))
	}
	var buf [31]byte
	n, opened, err := readSmall(dir+"/coresize", buf[:])
	if !opened {
		return fallback
	}
	if size, ok := parseLong(string(buf[:n])); err == nil && ok {
		return strconv.Itoa(size)
	}
	p.log.lib(kmod.LogErr, "kmod_module_get_size", "failed to read coresize from "+dir+"\n")
	return "0"
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

// readFile reads a file whose size is not known before.
func readFile(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 0, 1<<16)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return buf, nil
		}
		buf = buf[:len(buf)+n]
	}
}
