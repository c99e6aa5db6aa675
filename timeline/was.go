// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/internal/clock"
)

// Was says who a task was that the probe saw at a time since boot: the user and cgroup that the probe has kept, and what
// /proc tells of its process, if that is still there. A number that another process has by now is known by its start.
func (t *Tasks) Was(task bpf.Task, at time.Duration) *Who {
	w := &Who{UID: task.UID}
	if p, err := t.proc.BoundedStat(int(task.TGID)); err == nil && !p.Held && time.Duration(p.Start)*clock.Tick <= at {
		t.fill(w, int(task.TGID), p.PPID)
	}
	// He may have been moved since. Where systemd has a hierarchy of its own, this one has all in its root.
	if path, ok := cgroupPath(task.Cgroup); ok && path != "/" {
		w.Cgroup = path
		w.Unit, w.Container = placeOf("0::" + path)
	}
	return w
}

// fileIDKernfs is the type of a file handle that is a node's id (FILEID_KERNFS in include/linux/exportfs.h, Linux 5.5).
const fileIDKernfs = 0xfe

// cgroupPath finds a cgroup by its id in the unified hierarchy. One that is gone has no path, nor has any where nothing is
// mounted. It needs CAP_DAC_READ_SEARCH.
func cgroupPath(id uint64) (path string, ok bool) {
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if id == 0 || unix.Statfs(mount, &fs) != nil || uint32(fs.Type) != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		at, err := unix.Open(mount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		handle := unix.NewFileHandle(fileIDKernfs, binary.NativeEndian.AppendUint64(nil, id))
		fd, err := unix.OpenByHandleAt(at, handle, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
		unix.Close(at)
		if err != nil {
			return "", false
		}
		defer unix.Close(fd)
		b := make([]byte, unix.PathMax)
		n, err := unix.Readlink("/proc/self/fd/"+strconv.Itoa(fd), b)
		if err != nil {
			return "", false
		}
		path, inside := strings.CutPrefix(string(b[:n]), mount)
		if path == "" {
			path = "/"
		}
		return path, inside
	}
	return "", false
}
