// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"safeload/internal/syntax"
	"safeload/internal/treefile"
)

// configDirs are the directories of depmod.d(5). Of several files with the same name
// the first counts.
var configDirs = []string{"/etc/depmod.d", "/run/depmod.d", "/usr/local/lib/depmod.d", "/usr/lib/depmod.d", "/lib/depmod.d"}

// config is what depmod.d(5) says. Each list begins with the last line read.
type config struct {
	overrides []string // SUBDIR/NAME
	searches  []string
	externals []string
	excludes  []string
}

// Words of a search line that are no directories.
const (
	searchBuiltin  = "built-in"
	searchExternal = "external"
)

// maxConfig is far larger than any such file.
const maxConfig = 16 << 20

type configFile struct {
	path, name string
	given      bool // by the user, and not found in a directory
}

// readConfig reads the files of paths, which are directories or files.
func (p *program) readConfig(paths []string) {
	var files []configFile
	for _, path := range paths {
		files = append(files, p.configFiles(path)...)
	}
	slices.SortStableFunc(files, func(a, b configFile) int { return strings.Compare(a.name, b.name) })
	files = slices.CompactFunc(files, func(a, b configFile) bool { return a.name == b.name })
	for _, f := range files {
		p.parseConfig(f)
	}
	if len(p.cfg.searches) == 0 {
		p.cfg.searches = []string{"updates"}
	}
}

func (p *program) configFiles(path string) (files []configFile) {
	st, err := os.Stat(path)
	if err != nil {
		return nil
	}
	if !st.IsDir() {
		return []configFile{{path, filepath.Base(path), true}}
	}
	d, err := os.Open(path)
	if err != nil {
		p.log.err("files list ", path, ": ", text(err), "\n")
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		switch {
		case name[0] == '.':
			continue
		case len(name) < len("x.conf") || !strings.HasSuffix(name, ".conf"):
			p.log.info("All cfg files need .conf: ", path, "/", name, "\n")
			continue
		}
		st, err := os.Stat(path + "/" + name)
		if err != nil {
			p.log.err("Cannot stat directory entry: ", path, name, "\n")
			continue
		}
		if st.IsDir() {
			p.log.err("Directories inside directories are not supported: ", path, "/", name, "\n")
			continue
		}
		files = append(files, configFile{path + "/" + name, name, false})
	}
	return files
}

func (p *program) parseConfig(f configFile) {
	var data []byte
	var err error
	if f.given {
		data, err = os.ReadFile(f.path)
	} else if st, e := os.Stat(f.path); e == nil && !st.Mode().IsRegular() {
		return // a link to /dev/null; nobody waits for a pipe
	} else {
		data, err = treefile.Read(f.path, maxConfig)
	}
	if err != nil {
		p.log.err("file parse ", f.path, ": ", text(err), "\n")
		return
	}
	lines := syntax.Lines{Data: data}
	for {
		line, ok := lines.Next()
		if !ok {
			return
		}
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		words := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' })
		if len(words) == 0 {
			continue
		}
		p.directive(f.path+":"+strconv.Itoa(lines.Count), words[0], words[1:])
	}
}

func (p *program) directive(where, cmd string, args []string) {
	c := &p.cfg
	first := func(list *[]string, s string) { *list = slices.Insert(*list, 0, s) }
	switch {
	case cmd == "search":
		for _, s := range args {
			first(&c.searches, s)
		}
	case cmd == "exclude":
		for _, s := range args {
			first(&c.excludes, s)
		}
	case cmd == "override" && len(args) >= 3:
		if !p.matches(args[1]) {
			p.log.info(where, ": override kernel did not match ", args[1], "\n")
			return
		}
		first(&c.overrides, args[2]+"/"+args[0])
	case cmd == "external" && len(args) >= 2:
		if !p.matches(args[0]) {
			p.log.info(where, ": external directory did not match ", args[0], "\n")
			return
		}
		first(&c.externals, args[1])
	case cmd == "include" || cmd == "make_map_files":
		p.log.info(where, ": command ", cmd, " not implemented yet\n")
	default:
		p.log.err(where, ": ignoring bad line starting with '", cmd, "'\n")
	}
}

// matches reports whether the kernel's version matches an extended regular
// expression, or "*", which is the old way to write any.
func (p *program) matches(pattern string) bool {
	if pattern == "*" {
		return true
	}
	re, err := regexp.CompilePOSIX(pattern)
	return err == nil && re.MatchString(p.version)
}
