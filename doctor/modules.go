// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"safeload/kmod"
)

// The files that depmod(8) makes. Without the needed ones a name does not
// resolve; builtin ones come from the kernel's build.
var indexes = []struct {
	name   string
	needed bool
	lost   string // what does not work without it
}{
	{"modules.dep.bin", true, "no module is found by its name"},
	{"modules.alias.bin", true, "no module is found by an alias, as hardware and the kernel ask"},
	{"modules.symbols.bin", false, "symbol: names do not resolve"},
	{"modules.builtin.bin", false, "modules that are built in look missing"},
	{"modules.builtin.alias.bin", false, "aliases of modules that are built in look missing"},
	{"modules.softdep", false, ""},
}

// modules reports in what state the tree of the running kernel is.
func (e *examination) modules() {
	e.area = "modules"
	if e.r.Kernel == "" {
		return
	}
	tree := "/lib/modules/" + e.r.Kernel
	if !e.sys.exists(tree) {
		// Loaded modules show that the kernel takes some, so that none can
		// be found is a fault.
		if text, err := e.sys.read("/proc/modules"); err != nil {
			e.add(Note, "tree", "none", "the kernel has no loadable modules (CONFIG_MODULES)", "")
		} else if text == "" {
			e.add(Warn, "tree", tree+" is missing", "no module can be found", "install the modules of this kernel")
		} else {
			e.add(Bad, "tree", tree+" is missing", "no module can be found, although some are loaded: a kernel that was upgraded away?", "install the modules of this kernel, or reboot")
		}
		return
	}
	files, newest, err := e.sys.moduleFiles(tree)
	if err != nil {
		e.add(Bad, "tree", tree, err.Error(), "")
		return
	}
	e.add(OK, "tree", fmt.Sprintf("%s, %d modules", tree, len(files)), "", "")
	depmod := "depmod " + e.r.Kernel
	for _, ix := range indexes {
		e.index(tree, ix.name, ix.needed, ix.lost, depmod)
	}
	e.stale(tree, files, newest, depmod)
	e.compression(tree, files)
}

func (e *examination) index(tree, name string, needed bool, lost, depmod string) {
	path := e.sys.path(tree + "/" + name)
	level := Warn
	if needed {
		level = Bad
	}
	if !strings.HasSuffix(name, ".bin") {
		return
	}
	ix, err := kmod.OpenIndex(path)
	switch {
	case err == nil:
		n := 0
		whole := ix.Dump(func([]byte, string) { n++ })
		switch {
		case n == 0 && needed:
			e.add(level, name, "holds nothing", "empty or damaged: "+lost, depmod)
		case !whole:
			e.add(level, name, "damaged", fmt.Sprintf("a part is missing, %d entries are left: %s", n, lost), depmod)
		default:
			e.add(OK, name, fmt.Sprintf("%d entries", n), "", "")
		}
	case os.IsNotExist(err):
		e.add(level, name, "missing", lost, depmod)
	default:
		e.add(level, name, "damaged", err.Error()+": "+lost, depmod)
	}
}

type moduleFile struct{ path, format string } // path relative to the tree

// moduleFiles walks a tree; newest is the latest change of a module file.
func (s system) moduleFiles(tree string) (files []moduleFile, newest time.Time, err error) {
	root := s.path(tree)
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 || d.IsDir() {
			return nil // build and source lead to headers
		}
		name := d.Name()
		base, format := name, "none"
		for ext, f := range map[string]string{".gz": "gzip", ".xz": "xz", ".zst": "zstd"} {
			if b, ok := strings.CutSuffix(name, ext); ok {
				base, format = b, f
			}
		}
		if !strings.HasSuffix(base, ".ko") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if fi, err := d.Info(); err == nil && fi.ModTime().After(newest) {
			newest = fi.ModTime()
		}
		files = append(files, moduleFile{rel, format})
		return nil
	})
	return files, newest, err
}

// stale compares the files on the disk with modules.dep. Dates alone prove nothing,
// as a package's modules have the date of their build: a file counts if the index
// does not have it.
func (e *examination) stale(tree string, files []moduleFile, newest time.Time, depmod string) {
	text, err := e.sys.read(tree + "/modules.dep")
	if err != nil {
		e.add(Warn, "modules.dep", whyNot(err), "the tree cannot be compared with its index", depmod)
		return
	}
	listed := map[string]bool{}
	for l := range strings.Lines(text) {
		if p, _, ok := strings.Cut(l, ":"); ok {
			listed[p] = false
		}
	}
	var unknown, gone []string
	for _, f := range files {
		if _, ok := listed[f.path]; ok {
			listed[f.path] = true
		} else {
			unknown = append(unknown, f.path)
		}
	}
	for p, there := range listed {
		if !there && !strings.HasPrefix(p, "/") {
			gone = append(gone, p)
		}
	}
	slices.Sort(gone)
	if len(unknown) > 0 {
		e.add(Bad, "not indexed", some(unknown), "on the disk, not in modules.dep: they cannot be loaded by name", depmod)
	}
	if len(gone) > 0 {
		e.add(Bad, "indexed, gone", some(gone), "in modules.dep, not on the disk: loading them fails", depmod)
	}
	if len(unknown)+len(gone) > 0 {
		return
	}
	e.add(OK, "modules.dep", "agrees with the disk", "", "")
	if fi, err := os.Stat(e.sys.path(tree + "/modules.dep.bin")); err == nil && newest.After(fi.ModTime()) {
		e.add(Warn, "index age", "a module is newer than modules.dep.bin",
			"its aliases and dependencies may have changed since", depmod)
	}
}

func some(list []string) string {
	const most = 3
	s := strings.Join(list[:min(most, len(list))], ", ")
	if n := len(list) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}
