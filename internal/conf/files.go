// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A reasonable configuration is far below these; a file or directory above
// them is cut short and said so.
const (
	maxFile  = 64 << 10
	maxFiles = 256
)

type file struct{ dir, name string }

// list returns the *.conf files of dirs by name, each name once.
func list(dirs []string, owner uint32, warn WarnFunc) []file {
	var files []file
	for _, dir := range dirs {
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			if err != unix.ENOENT && err != unix.ENOTDIR {
				warn("cannot read " + dir + ": " + errname(err))
			}
			continue
		}
		if why := distrust(fd, owner); why != "" {
			warn("ignoring " + dir + ": it " + why)
		} else {
			readNames(fd, func(name string) {
				files = insert(files, file{dir, name})
			})
		}
		unix.Close(fd)
	}
	if len(files) > maxFiles {
		warn("too many configuration files: only the first 256 count")
		files = files[:maxFiles]
	}
	return files
}

// insert keeps files in order and the earlier of two with one name.
func insert(files []file, f file) []file {
	i := 0
	for i < len(files) && files[i].name < f.name {
		i++
	}
	if i < len(files) && files[i].name == f.name {
		return files
	}
	files = append(files, file{})
	copy(files[i+1:], files[i:])
	files[i] = f
	return files
}

// readNames calls f for the names of a directory that end in ".conf" and do
// not begin with a dot.
func readNames(fd int, f func(name string)) {
	const suffix = ".conf"
	const header = int(unsafe.Offsetof(unix.Dirent{}.Name))
	buf := make([]byte, 4096)
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return
		}
		for b := buf[:n]; len(b) > header; {
			size := int((*unix.Dirent)(unsafe.Pointer(&b[0])).Reclen)
			if size <= header || size > len(b) {
				return
			}
			name, _, _ := strings.Cut(string(b[header:size]), "\x00")
			if len(name) > len(suffix) && name[0] != '.' && name[len(name)-len(suffix):] == suffix {
				f(name)
			}
			b = b[size:]
		}
	}
}

// readTrusted reads a file that nobody but owner can have written. A symbolic
// link is followed, the directory being trusted. Like an empty file, a device
// (a link to /dev/null) masks its name and says nothing.
func readTrusted(path string, owner uint32, warn WarnFunc) (string, bool) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		warn("cannot read " + path + ": " + errname(err))
		return "", false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", false
	}
	if why := distrust(fd, owner); why != "" {
		warn("ignoring " + path + ": it " + why)
		return "", false
	}
	text, whole := readUpTo(fd, maxFile)
	if !whole {
		warn(path + ": only the first 64 KiB count")
	}
	return text, true
}

// distrust says why a file or directory may have been written by another than
// owner, or "".
func distrust(fd int, owner uint32) string {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "cannot be examined: " + errname(err)
	}
	if st.Uid != owner {
		return "does not belong to root"
	}
	if st.Mode&0o022 != 0 {
		return "can be written by others than root"
	}
	return ""
}

func readUpTo(fd, limit int) (text string, whole bool) {
	buf := make([]byte, 0, 1024)
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= limit {
				return string(buf[:limit]), false
			}
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return string(buf), true
		}
		buf = buf[:len(buf)+n]
	}
}

func readCmdline(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	text, _ := readUpTo(fd, 8192)
	return text
}

func errname(err error) string {
	if e, ok := err.(unix.Errno); ok {
		if name := unix.ErrnoName(e); name != "" {
			return name
		}
	}
	return "unknown error"
}
