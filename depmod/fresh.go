// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"syscall"

	"safeload/internal/dirents"
	"safeload/kmod"
)

// upToDate reports whether no module is newer than modules.dep, to the nanosecond.
// It returns false if that cannot be known.
func (p *program) upToDate() bool {
	d, err := dirents.Open(p.dir)
	if err != nil {
		p.log.err("could not open directory ", p.dir, ": ", text(err), "\n")
		return false
	}
	defer d.Close()
	var st syscall.Stat_t
	if err := d.Stat(dirents.Named("modules.dep"), &st); err != nil {
		p.log.err("could not fstatat(", p.dir, ", modules.dep): ", text(err), "\n")
		return false
	}
	return p.noneNewer(d, p.dir, st.Mtim, firstFD)
}

func (p *program) noneNewer(d dirents.Dir, path string, than syscall.Timespec, fd int) bool {
	for e := range p.buffers.Entries(d, fd-firstFD) {
		if e.Name == "build" || e.Name == "source" {
			continue
		}
		if len(path)+len(e.Name)+len("/")+2 >= pathMax {
			p.log.err("path is too long ", path, "/", e.Name, "\n")
			continue
		}
		kind := e.Kind
		module := kmod.ModuleExt(e.Name)
		var st syscall.Stat_t
		if kind != dirents.Directory && (kind != dirents.Regular || module) {
			var ok bool
			if kind, ok = p.statIn(d, path, e, fd, &st); !ok {
				continue
			}
		}
		if kind == dirents.Regular {
			if module && dirents.Newer(st.Mtim, than) {
				return false
			}
			continue
		}
		full := path + "/" + e.Name
		if len(full)+len("/")+1+nameMax >= pathMax {
			p.log.err("directory path is too long ", full, "\n")
			continue
		}
		sub, ok := p.enter(d, full, e, fd)
		if !ok {
			continue
		}
		fresh := p.noneNewer(sub, full, than, fd+1)
		sub.Close()
		if !fresh {
			return false
		}
	}
	return true
}
