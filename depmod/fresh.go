// SPDX-License-Identifier: Apache-2.0

package depmod

import (
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
	defer d.close()
	var st unix.Stat_t
	if err := unix.Fstatat(int(d), "modules.dep", &st, 0); err != nil {
		p.log.err("could not fstatat(", p.dir, ", modules.dep): ", text(err), "\n")
		return false
	}
	return p.noneNewer(d, p.dir, st.Mtim, firstFD)
}

func (p *program) noneNewer(d dir, path string, than unix.Timespec, fd int) bool {
	for e := range p.buffers.entries(d, fd-firstFD) {
		if e.name == "build" || e.name == "source" {
			continue
		}
		if len(path)+len(e.name)+len("/")+2 >= pathMax {
			p.log.err("path is too long ", path, "/", e.name, "\n")
			continue
		}
		kind := e.kind
		module := kmod.ModuleExt(e.name)
		var st unix.Stat_t
		if kind != unix.DT_DIR && (kind != unix.DT_REG || module) {
			var ok bool
			if kind, ok = p.statIn(d, path, e, fd, &st); !ok {
				continue
			}
		}
		if kind == unix.DT_REG {
			if module && (st.Mtim.Sec > than.Sec || st.Mtim.Sec == than.Sec && st.Mtim.Nsec > than.Nsec) {
				return false
			}
			continue
		}
		full := path + "/" + e.name
		if len(full)+len("/")+1+nameMax >= pathMax {
			p.log.err("directory path is too long ", full, "\n")
			continue
		}
		sub, ok := p.enter(d, full, e, fd)
		if !ok {
			continue
		}
		fresh := p.noneNewer(sub, full, than, fd+1)
		sub.close()
		if !fresh {
			return false
		}
	}
	return true
}
