// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"safeload/kmod"
)

// upToDate tells whether no module is newer than modules.dep, by nanoseconds.
// It is false if that cannot be known.
func (p *program) upToDate() bool {
	d, err := openDir(p.dir)
	if err != nil {
		p.log.err("could not open directory ", p.dir, ": ", text(err), "\n")
		return false
	}
	defer d.Close()
	var st unix.Stat_t
	if err := unix.Fstatat(int(d.Fd()), "modules.dep", &st, 0); err != nil {
		p.log.err("could not fstatat(", p.dir, ", modules.dep): ", text(err), "\n")
		return false
	}
	return p.noneNewer(d, p.dir, st.Mtim, firstFD)
}

func (p *program) noneNewer(d *os.File, path string, than unix.Timespec, fd int) bool {
	entries, _ := d.ReadDir(-1)
	for _, e := range entries {
		name := e.Name()
		if name == "build" || name == "source" {
			continue
		}
		mode := e.Type()
		var st unix.Stat_t
		if mode != fs.ModeDir && (mode != 0 || kmod.ModuleExt(name)) {
			var ok bool
			if mode, st, ok = p.statIn(d, path, name, fd); !ok {
				continue
			}
		}
		if mode == 0 {
			if kmod.ModuleExt(name) && (st.Mtim.Sec > than.Sec || st.Mtim.Sec == than.Sec && st.Mtim.Nsec > than.Nsec) {
				return false
			}
			continue
		}
		sub, err := openDir(path + "/" + name)
		if err != nil {
			p.log.err("openat(", strconv.Itoa(fd), ", ", name, ", O_RDONLY): ", text(err), "\n")
			continue
		}
		fresh := p.noneNewer(sub, path+"/"+name, than, fd+1)
		sub.Close()
		if !fresh {
			return false
		}
	}
	return true
}
