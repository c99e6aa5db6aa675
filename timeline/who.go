// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"safeload/bpf"
	"safeload/internal/proc"
)

// Tasks reads from /proc who a task is: only files that nobody can make us wait for. It must be closed.
type Tasks struct {
	proc *proc.FS

	// The last answer: a record and the journal ask of the same event, one after the other.
	event  bpf.Event
	answer *Who
}

// OpenTasks opens /proc, mounted or not.
func OpenTasks() (*Tasks, error) {
	p, err := proc.OpenProc()
	if err != nil {
		return nil, err
	}
	return &Tasks{proc: p}, nil
}

// Close ends it.
func (t *Tasks) Close() { t.proc.Close() }

// mostAncestors bounds what is read of one task: anybody may have processes as deep as he likes.
const mostAncestors = 32

// Who reads who the task of an event is now, for [NewRecorder]; nil if that is not known. A task that is called otherwise than
// in the event runs another program by now, or is another with the same number: of that one nothing is told.
func (t *Tasks) Who(e *bpf.Event) *Who {
	if *e != t.event || e.ID == 0 {
		t.event, t.answer = *e, t.read(e)
	}
	return t.answer
}

func (t *Tasks) read(e *bpf.Event) *Who {
	o, err := t.proc.Outline(int(e.TGID), int(e.TID))
	if err != nil || o.User < 0 || !sameTask(e.Comm, &o) {
		return nil
	}
	w := &Who{UID: uint32(o.User)}
	t.fill(w, int(e.TGID), o.PPID)
	return w
}

// fill adds what /proc tells of a process besides its user.
func (t *Tasks) fill(w *Who, pid, parent int) {
	dir := "./" + strconv.Itoa(pid) + "/"
	if b, err := t.proc.Read(dir + "status"); err == nil {
		w.Inside = pidsInside(b)
	}
	if b, err := t.proc.Read(dir + "loginuid"); err == nil {
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 32); err == nil && uint32(n) != ^uint32(0) {
			login := uint32(n)
			w.Login = &login
		}
	}
	if b, err := t.proc.Read(dir + "cgroup"); err == nil {
		w.Unit, w.Container = placeOf(string(b))
		w.Cgroup = cgroupOf(string(b))
	}
	for pid := parent; pid > 0 && len(w.Ancestors) < mostAncestors; {
		a, err := t.proc.Outline(pid, pid)
		if err != nil {
			break
		}
		w.Ancestors = append(w.Ancestors, Ancestor{uint32(pid), a.Comm})
		pid = a.PPID
	}
}

// mostInside is how deep pid namespaces may lie in each other (MAX_PID_NS_LEVEL).
const mostInside = 32

// bound leaves of what a record says no more than [Tasks.Who] gives: records may be anybody's.
func (w *Who) bound() {
	if w == nil {
		return
	}
	if len(w.Ancestors) > mostAncestors {
		w.Ancestors = slices.Clone(w.Ancestors[:mostAncestors])
	}
	if len(w.Inside) > mostInside {
		w.Inside = slices.Clone(w.Inside[:mostInside])
	}
}

// sameTask compares the name that a task had with the one that it has. Of a kernel thread the event has the first 15 bytes, and
// of a worker not the queue that /proc adds (wq_worker_comm). tracefs drops spaces before a name, and does not know each.
func sameTask(comm string, o *proc.Outline) bool {
	was, is := strings.TrimLeft(comm, " "), strings.TrimLeft(o.Comm, " ")
	return was == is || was == "" || was == "<...>" || o.Kthread() && strings.HasPrefix(is, was)
}

// pidsInside reads, of /proc/PID/status, the process's numbers in the namespaces below the one that /proc is of: outermost first.
func pidsInside(status []byte) (pids []uint32) {
	proc.Lines(status, func(line []byte) bool {
		list, ok := bytes.CutPrefix(line, []byte("NStgid:"))
		if !ok {
			return true
		}
		for i, f := range bytes.Fields(list) {
			if n, err := strconv.ParseUint(string(f), 10, 32); err == nil && i > 0 {
				pids = append(pids, uint32(n))
			}
		}
		return false
	})
	return pids
}

// cgroupOf is the path in the unified hierarchy, or in systemd's, or in any: of the first that is not at the root.
func cgroupOf(cgroups string) string {
	best, rank := "", 3
	for entry := range strings.SplitSeq(strings.TrimSuffix(cgroups, "\n"), "\n") {
		_, after, _ := strings.Cut(entry, ":")
		controllers, path, ok := strings.Cut(after, ":")
		r := 2
		switch controllers {
		case "":
			r = 0
		case "name=systemd":
			r = 1
		}
		if ok && path != "/" && r < rank {
			best, rank = path, r
		}
	}
	return best
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

// decimal is a number of 32 bits, which an int may have no room for.
func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// String says it in one line, for people.
func (w *Who) String() string {
	if w == nil {
		return ""
	}
	s := "uid " + decimal(w.UID)
	if w.Login != nil {
		s += ", login " + decimal(*w.Login)
	}
	if w.Unit != "" {
		s += ", " + w.Unit
	}
	switch {
	case w.Container != "":
		s += ", container " + w.Container
	case w.Unit == "" && w.Cgroup != "":
		s += ", cgroup " + w.Cgroup
	}
	if n := len(w.Inside); n > 0 {
		s += ", there pid " + decimal(w.Inside[n-1])
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
		b.WriteString(a.Comm + "[" + decimal(a.PID) + "]")
	}
	return b.String()
}
