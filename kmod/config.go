// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
)

// ConfigDirs are the directories that modprobe.d(5) names. A file masks those of the
// same name in later directories.
var ConfigDirs = [...]string{
	"/etc/modprobe.d",
	"/run/modprobe.d",
	"/usr/local/lib/modprobe.d",
	"/usr/lib/modprobe.d",
	"/lib/modprobe.d",
}

// Directive is a line of the configuration: its module name or pattern, and
// the rest as written.
type Directive struct {
	Name, Value string
}

// Config is what modprobe.d, modules.softdep, modules.weakdep and the kernel's
// command line say, each kind in the order in which it was read.
type Config struct {
	Aliases   []Directive
	Blacklist []string
	Options   []Directive
	Install   []Directive
	Remove    []Directive
	Softdeps  []Directive
	Weakdeps  []Directive

	scratch *scratch
	// Room for the lists that are seldom empty: see scratch.
	aliases, options, softdeps [24]Directive
}

// Levels of messages, as in syslog(3).
const (
	LogEmerg = iota
	LogAlert
	LogCrit
	LogErr
	LogWarning
	LogNotice
	LogInfo
	LogDebug
)

// LogFunc is given each message of the package, ended by a newline, with its
// level and the name of the libkmod function that gives the same message.
type LogFunc func(level int, function, message string)

type confFile struct {
	dir, name string
	// single is a file named itself, not found in a directory.
	single bool
}

func (f *confFile) path() string {
	if f.single {
		return f.dir
	}
	return f.dir + "/" + f.name
}

// open opens the file. With regular it opens regular files alone, except for one
// that the caller has named itself.
func (f *confFile) open(s *scratch, regular bool) (fd int, err error) {
	if f.single {
		return s.open(f.dir, 0)
	}
	if !regular {
		return s.openIn(f.dir, f.name, 0)
	}
	if fd, err = s.openIn(f.dir, f.name, unix.O_NONBLOCK); err != nil {
		return fd, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return -1, unix.EINVAL
	}
	return fd, nil
}

// read reads the tree's own dependency lists and all of paths, ordered
// by file name; of several files with the same name the first counts.
func (c *Config) read(tree string, paths []string, regular bool, log LogFunc) {
	files := make([]confFile, 0, 16)
	insert := func(f confFile) { files = append(files, f) }
	insert(confFile{dir: tree, name: "modules.softdep"})
	insert(confFile{dir: tree, name: "modules.weakdep"})
	for _, path := range paths {
		c.scratch.listConfig(path, insert, log)
	}
	slices.SortStableFunc(files, func(a, b confFile) int { return strings.Compare(a.name, b.name) })
	c.Aliases, c.Options, c.Softdeps = c.aliases[:0], c.options[:0], c.softdeps[:0]
	for i := range files {
		f := &files[i]
		if i > 0 && files[i-1].name == f.name {
			continue // masked
		}
		if !f.single && len(f.dir)+len("/")+len(f.name) > maxName {
			log(LogErr, "kmod_config_new", "Error parsing "+f.path()+": path too long\n")
			continue
		}
		fd, err := f.open(c.scratch, regular)
		if err != nil {
			continue
		}
		c.parse(f, c.scratch.readAll(fd), log)
		unix.Close(fd)
	}
}

// listConfig calls insert for the files of a directory that end in .conf, or for
// path itself if it is no directory. A path that does not exist is no error.
func (s *scratch) listConfig(path string, insert func(confFile), log LogFunc) {
	fd, err := s.open(path, unix.O_DIRECTORY|unix.O_NONBLOCK)
	switch err {
	case nil:
	case unix.ENOTDIR:
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil {
			insert(confFile{dir: path, name: base(path), single: true})
		}
		return
	case unix.ENOENT, unix.ELOOP, unix.ENAMETOOLONG:
		return
	default:
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil {
			log(LogErr, "conf_files_list", "opendir("+path+"): "+text(err)+"\n")
		}
		return
	}
	defer unix.Close(fd)
	buf := s.dirent[:]
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return
		}
		for b := buf[:n]; len(b) > direntName; {
			size := int(b[direntReclen]) | int(b[direntReclen+1])<<8 // all supported machines are little-endian
			if size < direntName || size > len(b) {
				return
			}
			name := bstr(syntax.UntilNUL(b[direntName:size]))
			if len(name) >= 6 && name[0] != '.' && name[len(name)-5:] == ".conf" &&
				isConfFile(fd, path, name, b[direntType], log) {
				// The name lives in buf, which is used again.
				kept := s.keep(len(name))
				copy(kept, name)
				insert(confFile{dir: path, name: bstr(kept)})
			}
			b = b[size:]
		}
	}
}

// Offsets of struct linux_dirent64, the same on all architectures.
const (
	direntReclen = 16
	direntType   = 18
	direntName   = 19
)

func isConfFile(fd int, dir, name string, kind byte, log LogFunc) bool {
	if kind != unix.DT_REG && kind != unix.DT_DIR {
		var st unix.Stat_t
		if err := unix.Fstatat(fd, name, &st, 0); err != nil {
			log(LogErr, "conf_files_filter_out", "Cannot stat directory entry: "+dir+"/"+name+"\n")
			return false
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			kind = unix.DT_DIR
		}
	}
	if kind == unix.DT_DIR {
		log(LogErr, "conf_files_filter_out",
			"Directories inside directories are not supported: "+dir+"/"+name+"\n")
		return false
	}
	return true
}

// LogLevel reads the value of the environment variable KMOD_LOG: a number or
// the beginning of a level's name, as libkmod does.
func LogLevel(value string) int {
	i, neg := 0, false
	for i < len(value) && syntax.IsSpace(value[i]) {
		i++
	}
	if i < len(value) && (value[i] == '-' || value[i] == '+') {
		neg = value[i] == '-'
		i++
	}
	n, digits := 0, 0
	for ; i < len(value) && value[i] >= '0' && value[i] <= '9'; i++ {
		if n = n*10 + int(value[i]-'0'); n > 1<<30 {
			return 0
		}
		digits++
	}
	if digits > 0 && (i == len(value) || syntax.IsSpace(value[i])) || value == "" {
		if neg {
			n = -n
		}
		return n
	}
	for _, l := range [...]struct {
		prefix string
		level  int
	}{{"err", LogErr}, {"info", LogInfo}, {"debug", LogDebug}} {
		if len(value) >= len(l.prefix) && value[:len(l.prefix)] == l.prefix {
			return l.level
		}
	}
	return 0
}
