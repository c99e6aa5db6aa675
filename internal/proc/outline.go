// SPDX-License-Identifier: Apache-2.0

package proc

import "bytes"

// Outline is what can be read of a task without waiting for anybody, from
// /proc/PID/task/TID/status. Its Stat has no Start, and of the flags those that
// Kthread and Worker ask for.
type Outline struct {
	Stat
	User    int64 // effective, as seen from our user namespace; -1: not known
	Capable bool  // has CAP_SYS_MODULE, in whatever user namespace

	// Executes tells that the task is in execve(2), past the point where it gets a
	// new memory and takes the exec_update_lock (begin_new_exec in fs/exec.c): no
	// program is in that memory yet. It neither loads a module nor asks for one
	// there, and is not to be waited for.
	Executes bool

	stated, memory, text, kernel bool
}

// Outline reads a thread; for pid's first thread tid is pid.
func (f *FS) Outline(pid, tid int) (Outline, error) {
	b, err := f.readShort(ownPath(pid, tid, "status"), false)
	if err != nil {
		return Outline{}, err
	}
	o, ok := parseOutline(b)
	if !ok { // a recorded one, which has no more than its caller needs
		if o.Stat, err = f.stat(taskPath(pid, tid, "stat")); err != nil {
			return Outline{}, err
		}
	}
	o.TID = tid
	if pid == tid {
		f.near.pid, f.near.sort, f.near.executes = pid, o.sort(), o.Executes
	}
	return o, nil
}

func (o *Outline) sort() sort {
	switch {
	case o.Kthread(), o.Gone():
		return ofKernel
	case o.User == 0 && o.Capable:
		return ofRoot
	}
	return ofOthers
}

// parseOutline reads a status. A kernel thread is told by "Kthread:" since Linux
// 6.8, and before by its having no memory and the parent of all of them: what
// has no memory for a moment, on its way to exit or to its first execve(2), has
// another. Only the kernel names its threads, and calls workers kworker/….
func parseOutline(status []byte) (o Outline, ok bool) {
	o.User, o.Capable = -1, true
	told := false
	Lines(status, func(line []byte) bool {
		key, v, _ := bytes.Cut(line, []byte{':'})
		v = bytes.TrimLeft(v, " \t")
		number := func() int {
			n, _ := Uint(v)
			return int(n)
		}
		switch string(key) {
		case "Name":
			o.Comm = unescape(v)
		case "State":
			if len(v) > 0 {
				o.State, o.stated = v[0], true
			}
		case "PPid":
			o.PPID = number()
		case "Pid":
			o.TID = number()
		case "Uid":
			_, v, _ = bytes.Cut(v, []byte{'\t'})
			v, _, _ = bytes.Cut(v, []byte{'\t'})
			if n, good := Uint(v); good && n < 1<<32 {
				o.User = int64(n)
			}
		case "Kthread":
			o.kernel, told = string(v) == "1", true
		case "VmSize":
			o.memory = true
		case "VmExe":
			o.text = len(v) == 0 || v[0] != '0'
		case "Threads":
			o.Threads = number()
		case "CapEff":
			caps, good := Hex(v)
			o.Capable = !good || caps&(1<<sysModule) != 0
			return false
		}
		return true
	})
	o.Executes = o.memory && !o.text
	if !told {
		o.kernel = !o.memory && (o.PPID == 2 || o.TID == 2) && !o.Gone()
	}
	if o.kernel {
		o.Flags = flagKthread
		if len(o.Comm) > 8 && o.Comm[:8] == "kworker/" {
			o.Flags |= flagWorker
		}
	}
	return o, o.stated
}

// unescape takes back what proc_task_name (fs/proc/array.c) does to a newline
// and a backslash.
func unescape(v []byte) string {
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		c := v[i]
		if c == '\\' && i+1 < len(v) {
			if i++; v[i] == 'n' {
				c = '\n'
			} else {
				c = v[i]
			}
		}
		b = append(b, c)
	}
	return string(b)
}
