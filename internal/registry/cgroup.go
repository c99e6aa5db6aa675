// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"

	"golang.org/x/sys/unix"

	"safeload/internal/proc"
)

// The token as a cgroup: /safeload/TOKEN.DEPTH in the unified hierarchy, or in one
// of version 1 whose controller changes nothing for its members. Only a
// process in the hierarchy's root moves: that is where the kernel's helpers
// are, and what is below the root belongs to a manager such as systemd.
const cgroupDir = "safeload"

// hierarchy is a mounted cgroup file system that we may use.
type hierarchy struct {
	id    int // as in /proc/PID/cgroup
	mount string
	v2    bool
}

// hierarchies of version 1 that do nothing to a group without settings.
var harmless = [][]byte{[]byte("freezer"), []byte("pids"), []byte("perf_event"), []byte("net_cls"), []byte("net_cls,net_prio")}

// findHierarchy reads /proc/PID/cgroup for one that pid is in the root of.
func findHierarchy(p *proc.FS, pid int) (hierarchy, bool) {
	b, err := p.Read(proc.Itoa(pid) + "/cgroup")
	if err != nil {
		return hierarchy{}, false
	}
	var found hierarchy
	ok := false
	proc.Lines(b, func(line []byte) bool {
		part := bytes.SplitN(line, []byte(":"), 3)
		if len(part) != 3 || string(part[2]) != "/" {
			return true
		}
		id, good := proc.Uint(part[0])
		if !good {
			return true
		}
		if id == 0 {
			for _, m := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
				var st unix.Statfs_t
				if unix.Statfs(m, &st) == nil && int64(uint32(st.Type)) == unix.CGROUP2_SUPER_MAGIC {
					found, ok = hierarchy{mount: m, v2: true}, true
					return false
				}
			}
			return true
		}
		for _, c := range harmless {
			if !ok && bytes.Equal(part[1], c) {
				m := "/sys/fs/cgroup/" + string(c)
				var st unix.Statfs_t
				if unix.Statfs(m, &st) == nil && int64(uint32(st.Type)) == unix.CGROUP_SUPER_MAGIC {
					found, ok = hierarchy{id: int(id), mount: m}, true
				}
			}
		}
		return true
	})
	return found, ok
}

// EnterCgroup moves this process into a group of this name and returns
// what moves it back and removes the group; nil when there is none to be had.
// A group that children still live in stays, for a later invocation to sweep.
func EnterCgroup(name string) (leave func()) {
	p, err := proc.OpenProc()
	if err != nil {
		return nil
	}
	defer p.Close()
	h, ok := findHierarchy(p, unix.Getpid())
	if !ok {
		return nil
	}
	top := h.mount + "/" + cgroupDir
	if err := unix.Mkdir(top, 0o755); err != nil && err != unix.EEXIST {
		return nil
	}
	sweep(top)
	dir := top + "/" + name
	if unix.Mkdir(dir, 0o755) != nil {
		return nil
	}
	if writeFile(dir+"/cgroup.procs", "0") != nil {
		_ = unix.Rmdir(dir)
		return nil
	}
	return func() {
		_ = writeFile(h.mount+"/cgroup.procs", "0")
		_ = unix.Rmdir(dir)
	}
}

// SweepCgroups sweeps wherever an invocation may have left a group: one that was
// killed in its command leaves it to the next that has company.
func SweepCgroups() {
	sweep("/sys/fs/cgroup/" + cgroupDir)
	sweep("/sys/fs/cgroup/unified/" + cgroupDir)
	for _, c := range harmless {
		sweep("/sys/fs/cgroup/" + string(c) + "/" + cgroupDir)
	}
}

// sweep removes groups that nobody lives in: rmdir(2) refuses the others. One
// that its maker has not entered yet may go too; the maker then does without.
func sweep(top string) {
	fd, err := unix.Open(top, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	n := 0
	_ = proc.ReadNames(fd, func(name string) bool {
		if _, _, ok := ParseCarried(name); ok {
			n++
			_ = unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
		}
		return n < 256
	})
}

// CgroupToken is the token in the path of a process's cgroup.
func CgroupToken(p *proc.FS, pid int) (token string, depth int) {
	b, err := p.Read(proc.Itoa(pid) + "/cgroup")
	if err != nil {
		return "", 0
	}
	proc.Lines(b, func(line []byte) bool {
		// ID:CONTROLLERS:PATH; only the path of a group may be a user's choice.
		part := bytes.SplitN(line, []byte(":"), 3)
		if len(part) != 3 {
			return true
		}
		t, is := bytes.CutPrefix(part[2], []byte("/"+cgroupDir+"/"))
		if !is {
			return true
		}
		if j := bytes.IndexByte(t, '/'); j >= 0 {
			t = t[:j]
		}
		var ok bool
		token, depth, ok = ParseCarried(string(t))
		return !ok
	})
	return token, depth
}

func writeFile(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(text))
	unix.Close(fd)
	return err
}
