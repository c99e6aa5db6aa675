// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"safeload/kmod"
)

// upToDate reports whether no module is newer than modules.dep, to the nanosecond.
// It returns false if that cannot be known.
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
	for e := range p.buffers.entries(d, fd-firstFD) {
		if e.name == "build" || e.name == "source" {
			continue
		}
		kind := e.kind
		var st unix.Stat_t
		if kind != unix.DT_DIR && (kind != unix.DT_REG || kmod.ModuleExt(e.name)) {
			var ok bool
			if kind, st, ok = p.statIn(d, path, e.name, fd); !ok {
				continue
			}
		}
		if kind == unix.DT_REG {
			if kmod.ModuleExt(e.name) && (st.Mtim.Sec > than.Sec || st.Mtim.Sec == than.Sec && st.Mtim.Nsec > than.Nsec) {
				return false
			}
			continue
		}
		sub, err := openDir(path + "/" + e.name)
		if err != nil {
			p.log.err("openat(", strconv.Itoa(fd), ", ", e.name, ", O_RDONLY): ", text(err), "\n")
			continue
		}
		fresh := p.noneNewer(sub, path+"/"+e.name, than, fd+1)
		sub.Close()
		if !fresh {
			return false
		}
	}
	return true
}
