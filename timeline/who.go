// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"safeload/internal/proc"
)

// Tasks reads from /proc who a task is: only files that nobody can make us wait for. It must be closed.
type Tasks struct{ proc *proc.FS }

// OpenTasks opens /proc, mounted or not.
func OpenTasks() (*Tasks, error) {
	p, err := proc.OpenProc()
	if err != nil {
		return nil, err
	}
	return &Tasks{p}, nil
}

// Close ends it.
func (t *Tasks) Close() { t.proc.Close() }

// Who reads who a task is now, for [NewRecorder]; nil if that is not known.
func (t *Tasks) Who(tid, tgid uint32, _ time.Duration) *Who {
	o, err := t.proc.Outline(int(tgid), int(tid))
	if err != nil || o.User < 0 {
		return nil
	}
	w := &Who{UID: uint32(o.User)}
	dir := "./" + strconv.Itoa(int(tgid)) + "/"
	if b, err := t.proc.Read(dir + "loginuid"); err == nil {
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 32); err == nil && uint32(n) != ^uint32(0) {
			login := uint32(n)
			w.Login = &login
		}
	}
	if b, err := t.proc.Read(dir + "cgroup"); err == nil {
		w.Unit, w.Container = placeOf(string(b))
	}
	for pid := o.PPID; pid > 0 && len(w.Ancestors) < 16; {
		a, err := t.proc.Outline(pid, pid)
		if err != nil {
			break
		}
		w.Ancestors = append(w.Ancestors, Ancestor{uint32(pid), a.Comm})
		pid = a.PPID
	}
	return w
}

// units are the endings of what systemd starts processes in.
var units = []string{".service", ".scope", ".mount", ".socket", ".swap"}

// placeOf finds systemd's unit and a container's name in /proc/PID/cgroup: the innermost of each. Whoever may make cgroups
// may have chosen either.
func placeOf(cgroups string) (unit, container string) {
	for entry := range strings.SplitSeq(strings.TrimSuffix(cgroups, "\n"), "\n") {
		_, after, _ := strings.Cut(entry, ":")
		_, path, ok := strings.Cut(after, ":")
		if !ok {
			continue
		}
		before := ""
		for name := range strings.SplitSeq(path, "/") {
			for _, end := range units {
				if strings.HasSuffix(name, end) {
					unit = name
				}
			}
			if c := containerOf(before, name); c != "" {
				container = c
			}
			before = name
		}
	}
	return unit, container
}

// containerOf knows how engines name the cgroup of a container.
func containerOf(above, name string) string {
	bare := strings.TrimSuffix(name, ".scope")
	for _, engine := range []string{"docker-", "libpod-", "cri-containerd-", "crio-"} {
		if id, ok := strings.CutPrefix(bare, engine); ok && bare != name && len(id) >= 12 {
			return engine + id[:12]
		}
	}
	if id, ok := strings.CutPrefix(name, "lxc.payload."); ok {
		return "lxc-" + id
	}
	if id, ok := strings.CutPrefix(bare, "machine-"); ok && bare != name {
		return id
	}
	if id, ok := strings.CutPrefix(strings.TrimSuffix(name, ".service"), "systemd-nspawn@"); ok {
		return id
	}
	switch {
	case above == "docker" && len(name) >= 12:
		return "docker-" + name[:12]
	case above == "lxc" && name != "":
		return "lxc-" + name
	}
	return ""
}

// String says it in one line, for people.
func (w *Who) String() string {
	if w == nil {
		return ""
	}
	s := "uid " + strconv.Itoa(int(w.UID))
	if w.Login != nil {
		s += ", login " + strconv.Itoa(int(*w.Login))
	}
	if w.Unit != "" {
		s += ", " + w.Unit
	}
	if w.Container != "" {
		s += ", container " + w.Container
	}
	return s
}

// descent is its ancestors, from the parent up.
func (w *Who) descent() string {
	if w == nil {
		return ""
	}
	var b strings.Builder
	for i, a := range w.Ancestors {
		if i > 0 {
			b.WriteString(" < ")
		}
		b.WriteString(a.Comm + "[" + strconv.Itoa(int(a.PID)) + "]")
	}
	return b.String()
}
