// SPDX-License-Identifier: Apache-2.0

// Package bootload loads what a system asks for while it boots, as
// systemd-modules-load and udev's coldplug do, several modules at a time: each by
// a modprobe of its own, so that the guard sees who waits for whom.
package bootload

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"safeload/internal/treefile"
)

// ConfigDirs are where modules-load.d is looked for. Of files with one name the
// first counts.
var ConfigDirs = []string{"/etc/modules-load.d", "/run/modules-load.d", "/usr/local/lib/modules-load.d", "/usr/lib/modules-load.d", "/lib/modules-load.d"}

// maxFile is far beyond what people write.
const maxFile = 1 << 20

// Configured are the names in the files of modules-load.d below root. What cannot
// be read is in the error, and the rest is there.
func Configured(root string) (names []string, err error) {
	files := map[string]string{}
	for _, dir := range ConfigDirs {
		entries, _ := os.ReadDir(filepath.Join(root, dir))
		for _, e := range entries {
			if name := e.Name(); strings.HasSuffix(name, ".conf") && files[name] == "" {
				files[name] = filepath.Join(root, dir, name)
			}
		}
	}
	order := make([]string, 0, len(files))
	for name := range files {
		order = append(order, name)
	}
	slices.Sort(order)
	var errs []error
	for _, name := range order {
		if st, err := os.Stat(files[name]); err == nil && !st.Mode().IsRegular() {
			continue // a link to /dev/null takes the file of that name away
		}
		list, err := File(files[name])
		names, errs = append(names, list...), append(errs, err)
	}
	return names, errors.Join(errs...)
}

// File reads one file: a name on each line, '#' and ';' begin a comment.
func File(path string) (names []string, err error) {
	b, err := treefile.Read(path, maxFile)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != ';' {
			names = append(names, line)
		}
	}
	return names, nil
}

// CommandLine are the names in modules_load= of the kernel's command line, in an
// initramfs also those of rd.modules_load=.
func CommandLine(line string, initramfs bool) (names []string) {
	for _, word := range words(line) {
		key, value, ok := strings.Cut(word, "=")
		key = strings.ReplaceAll(key, "-", "_") // systemd takes one for the other
		if !ok || key != "modules_load" && (!initramfs || key != "rd.modules_load") {
			continue
		}
		for name := range strings.SplitSeq(value, ",") {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// words splits the command line; quotes hold a word together.
func words(line string) (list []string) {
	var word []byte
	quoted := false
	for i := 0; i <= len(line); i++ {
		switch {
		case i == len(line) || !quoted && strings.IndexByte(" \t\n", line[i]) >= 0:
			if len(word) > 0 {
				list = append(list, string(word))
			}
			word = word[:0]
		case line[i] == '"':
			quoted = !quoted
		default:
			word = append(word, line[i])
		}
	}
	return list
}

// Aliases are the module aliases of the devices below dir, /sys/devices, each
// once, in the order in which the devices are found.
func Aliases(dir string) (list []string, err error) {
	known := map[string]bool{}
	add := func(alias string) {
		if alias = strings.TrimSpace(alias); alias != "" && !known[alias] {
			known[alias] = true
			list = append(list, alias)
		}
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err != nil || d.IsDir():
			return nil // a device that has gone
		case d.Name() == "uevent":
			// What udev goes by; some devices have no modalias beside it.
			b, err := read(path)
			if err != nil {
				return nil
			}
			for line := range strings.Lines(string(b)) {
				if alias, ok := strings.CutPrefix(line, "MODALIAS="); ok {
					add(alias)
				}
			}
		case d.Name() == "modalias":
			if b, err := read(path); err == nil {
				add(string(b))
			}
		}
		return nil
	})
	return list, err
}

// read reads a file of sysfs, whose size says nothing.
func read(path string) ([]byte, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	b := make([]byte, 8<<10)
	n, err := syscall.Read(fd, b)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}
