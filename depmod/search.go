// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/dirents"
	"safeload/internal/stdio"
	"safeload/internal/treefile"
	"safeload/kmod"
)

// module is one module of the tree.
type module struct {
	name, path string
	rel        string // below the tree, or the path
	inTree     bool
	place      int // by modules.order
	idx        int // in program.modules
	contents
	deps    []*module
	users   uint16
	sorted  int // place among dependencies
	visited bool
}

// base is the length of the path up to the last slash.
func (m *module) base() int { return strings.LastIndexByte(m.path, '/') }

// search finds the modules of the tree and of the external directories.
func (p *program) search() error {
	if err := p.searchPath(p.dir); err != nil {
		return err
	}
	for _, dir := range p.cfg.externals {
		_ = p.searchPath(dir)
	}
	return nil
}

func (p *program) searchPath(path string) error {
	d, err := dirents.Open(path)
	if err != nil {
		p.log.err("could not open directory ", path, ": ", text(err), "\n")
		return err
	}
	defer d.Close()
	p.searchDir(d, path, firstFD)
	return nil
}

// excluded reports which entries are skipped at every level.
func (p *program) excluded(name string) bool {
	return name == "build" || name == "source" || slices.Contains(p.cfg.excludes, name)
}

// firstFD is the descriptor that a tree has in kmod, which messages name; each
// directory in it has the next one.
const firstFD = 3

// statIn looks at an entry of a directory that is open as d, and in kmod as fd. It
// says why if that is neither a plain file nor a directory.
func (p *program) statIn(d dirents.Dir, path string, e dirents.Entry, fd int, st *syscall.Stat_t) (kind byte, ok bool) {
	if err := d.Stat(e, st); err != nil {
		p.log.err("fstatat(", strconv.Itoa(fd), ", ", e.Name, "): ", text(err), "\n")
		return 0, false
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return dirents.Regular, true
	case unix.S_IFDIR:
		return dirents.Directory, true
	}
	p.log.err("unsupported file type ", path, "/", e.Name, ": ", fmt.Sprintf("%o", st.Mode&unix.S_IFMT), "\n")
	return 0, false
}

// enter opens a directory in one that is open as d, and in kmod as fd. What may be a link is opened by its whole path: one
// that leads to a directory above it ends at some depth.
func (p *program) enter(d dirents.Dir, path string, e dirents.Entry, fd int) (sub dirents.Dir, ok bool) {
	var err error
	if e.Kind == dirents.Directory {
		sub, err = d.Open(e)
	} else {
		sub, err = dirents.Open(path)
	}
	if err != nil {
		p.log.err("openat(", strconv.Itoa(fd), ", ", e.Name, ", O_RDONLY): ", text(err), "\n")
	}
	return sub, err == nil
}

// searchDir takes entries in the order of the directory: of two modules with
// one name and one priority the first stays.
//
// kmod looks at each module by its path once more, which fails where a directory can be read and not searched: for all of
// its modules, so one look will do.
func (p *program) searchDir(d dirents.Dir, path string, fd int) {
	var closed error
	looked := false
	for e := range p.buffers.Entries(d, fd-firstFD) {
		if p.excluded(e.Name) {
			continue
		}
		kind := e.Kind
		if kind != dirents.Regular && kind != dirents.Directory {
			var st syscall.Stat_t
			var ok bool
			if kind, ok = p.statIn(d, path, e, fd, &st); !ok {
				continue
			}
		}
		full := path + "/" + e.Name
		if kind == dirents.Regular {
			if !looked && kmod.ModuleExt(e.Name) {
				closed, looked = d.Stat(e, new(syscall.Stat_t)), true
			}
			p.searchFile(full, len(path)+1, closed)
			continue
		}
		if sub, ok := p.enter(d, full, e, fd); ok {
			p.searchDir(sub, full, fd+1)
			sub.Close()
		}
	}
}

// searchFile takes a module unless another of its name has priority. With closed it cannot be looked at by its path.
func (p *program) searchFile(path string, base int, closed error) {
	if !kmod.ModuleExt(path[base:]) {
		return
	}
	name := kmod.NormalizeName(path[base:])
	if old := p.byName[name]; old != nil {
		if p.stays(old, path, base+len(name)) {
			return
		}
		p.remove(old)
	}
	full := p.absolute(path) // an external directory need not be
	if len(full) >= pathMax {
		closed = syscall.ENAMETOOLONG
	}
	if closed != nil {
		p.log.err("could not create module ", path, ": ", text(closed), "\n")
		p.log.err("failed ", path, ": ", text(closed), "\n")
		return
	}
	p.add(name, full)
}

// add adds a module whose name is not taken.
func (p *program) add(name, path string) {
	m := &module{name: name, path: path, rel: path, place: 1, sorted: 1<<31 - 1}
	if strings.HasPrefix(path, p.dir+"/") {
		m.rel, m.inTree = path[len(p.dir)+1:], true
		p.byFile[m.file()] = m
	}
	p.byName[name] = m
}

func (p *program) remove(m *module) {
	delete(p.byName, m.name)
	if m.inTree {
		delete(p.byFile, m.file())
	}
}

// file returns the path in the tree without the ending of a compressed file, as
// modules.order has it.
func (m *module) file() string {
	n := strings.LastIndexByte(m.rel, '/') + 1 + len(m.name) + len(".ko")
	return m.rel[:min(n, len(m.rel))]
}

// stays reports whether a module has priority over another with the same name, whose
// path without extension is n bytes long. It is kmod's
// depmod_module_is_higher_priority, which in places compares lengths alone.
func (p *program) stays(old *module, newPath string, n int) bool {
	oldFull, newFull := old.path[:old.base()+1+len(old.name)], newPath[:n]
	inside := func(path string) string {
		if strings.HasPrefix(path, p.dir) && len(path) > len(p.dir) {
			return path[len(p.dir)+1:]
		}
		return ""
	}
	relOld, relNew := inside(oldFull), inside(newFull)
	for _, o := range p.cfg.overrides {
		if o == relNew {
			return false
		}
		if o == relOld {
			return true
		}
	}
	builtin, oldPrio, newPrio := -1, -1, -1
	i := 0
	for _, s := range p.cfg.searches {
		switch {
		case s == searchBuiltin:
			builtin = i
		case s == searchExternal:
			for _, dir := range p.cfg.externals {
				if strings.HasPrefix(newFull, dir+"/") {
					newPrio = i
				}
				if strings.HasPrefix(oldFull, dir+"/") {
					oldPrio = i
				}
				i++
			}
		case strings.HasPrefix(relNew, s+"/"):
			newPrio = i
		case strings.HasPrefix(relOld, s+"/"):
			oldPrio = i
		}
		i++
	}
	if newPrio < 0 {
		newPrio = builtin
	}
	if oldPrio < 0 {
		oldPrio = builtin
	}
	return newPrio <= oldPrio
}

// addFile adds a module that was named on the command line.
func (p *program) addFile(path string) {
	if path == "" || path[0] != '/' {
		p.log.crit(path, ": not absolute path.\n")
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		p.log.crit("could not create module ", path, ": ", text(err), "\n")
	}
	base := strings.LastIndexByte(path, '/') + 1
	if base == len(path) {
		p.log.crit("could not create module ", path, ": ", text(syscall.ENOENT), "\n")
	}
	name := kmod.NormalizeName(path[base:])
	if old := p.byName[name]; old != nil {
		if old.path != path {
			p.log.err("kmod_module '", name, "' already exists with different path: new-path='", path, "' old-path='", old.path, "'\n")
			p.log.crit("could not create module ", path, ": ", text(syscall.EEXIST), "\n")
		}
		p.log.err("hash_add_unique ", name, ": ", text(syscall.EEXIST), "\n")
		p.log.crit("could not add module ", path, ": ", text(syscall.EEXIST), "\n")
	}
	p.add(name, path)
}

// maxList is far larger than any of a tree's own lists.
const maxList = 64 << 20

// treeFile reads one of the tree's own lists. ok is false if it has warned. What cannot be read of a file that is open,
// such as a directory, kmod takes for its end; unread says why.
func (p *program) treeFile(name string) (b []byte, ok bool, unread error) {
	var st unix.Stat_t
	if err := unix.Stat(p.dir, &st); err != nil {
		p.log.warn("could not open directory ", p.dir, ": ", text(err), "\n")
		return nil, false, nil
	}
	path := p.dir + "/" + name
	if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR && unix.Access(path, unix.R_OK) == nil {
		return nil, true, syscall.EISDIR
	}
	b, err := treefile.Read(path, maxList)
	if err != nil {
		p.log.warn("could not open ", name, " at ", p.dir, ": ", text(err), "\n")
		return nil, false, nil
	}
	return b, true, nil
}

const (
	pathMax = 4096
	nameMax = 255
)

// order sorts the modules as modules.order has them. The others follow in the order
// of kmod's table.
func (p *program) order() {
	p.modules = hashOrder(p.byName, moduleBuckets)
	defer func() {
		for i, m := range p.modules {
			m.idx = i
		}
	}()
	if len(p.modules) >= 1<<16-1 {
		p.log.crit("could not build module array: ", text(syscall.ERANGE), "\n")
	}
	const name = "modules.order"
	b, ok, _ := p.treeFile(name)
	if !ok {
		return
	}
	next := -len(p.modules)
	for n := 1; len(b) > 0; n++ {
		var line string
		line, b = stdio.Line(b, pathMax)
		if line == "" {
			continue
		}
		if line[len(line)-1] != '\n' {
			p.log.err(p.dir, "/", name, ":", strconv.Itoa(n), " corrupted line misses '\\n'\n")
			return
		}
		if m := p.byFile[line[:len(line)-1]]; m != nil && m.place >= 0 {
			m.place = next
			next++
		}
	}
	slices.SortStableFunc(p.modules, func(a, b *module) int { return a.place - b.place })
}
