// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"

	"safeload/internal/proc"
)

const (
	StateLoad    = "load"    // in finit_module or init_module, or about to be
	StateWait    = "wait"    // waits in user space for a coming module
	StateCommand = "command" // waits for an install or remove command
)

const (
	maxEntry   = 4096 // bytes
	maxEntries = 4096
)

// Inode is a file, whatever path led to it.
type Inode struct{ Dev, Ino uint64 }

// Entry is what one invocation says of itself. A registry file is one entry,
// named PID.START, a key=value a line.
type Entry struct {
	PID     int
	Start   uint64 // ticks since boot, as /proc/PID/stat
	State   string
	Token   string
	Parent  string // the token it was started with
	Depth   int    // invocations above it; 0 with no parent
	Module  string
	Path    string
	File    Inode // that module stands in; zero: module is but the file's name
	Request string
	Since   int64 // ns, CLOCK_BOOTTIME

	Command string // of StateCommand: whether it is an install or a remove command of module
	Plain   bool   // and whether it calls modprobe and does nothing else
}

// lines are what an entry is made of, key=value each.
type lines []byte

// add adds one that is not empty, if it fits. It is called from too many places
// to be put into each.
//
//go:noinline
func (l *lines) add(key, value string) {
	b := *l
	if value == "" || len(b)+len(value)+len(key)+3 > maxEntry {
		return
	}
	b = append(append(b, key...), '=')
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c < ' ' {
			c = '?'
		}
		b = append(b, c)
	}
	*l = append(b, '\n')
}

func (e *Entry) format() []byte {
	b := make(lines, 0, 512)
	b.add("schema", "1")
	b.add("pid", proc.Itoa(e.PID))
	b.add("start", proc.Utoa(e.Start))
	b.add("state", e.State)
	b.add("token", e.Token)
	b.add("parent", e.Parent)
	b.add("depth", proc.Itoa(e.Depth))
	b.add("since", proc.Utoa(uint64(e.Since)))
	b.add("module", e.Module)
	b.add("path", e.Path)
	if e.File != (Inode{}) {
		b.add("file", proc.Utoa(e.File.Dev)+":"+proc.Utoa(e.File.Ino))
	}
	b.add("request", e.Request)
	b.add("command", e.Command)
	if e.Plain {
		b.add("plain", "1")
	}
	return b
}

func parseEntry(b []byte) (e Entry, ok bool) {
	schema := ""
	ok = true
	proc.Lines(b, func(line []byte) bool {
		i := bytes.IndexByte(line, '=')
		if i <= 0 {
			ok = false
			return false
		}
		v := string(line[i+1:])
		number := func() uint64 {
			n, good := proc.Uint([]byte(v))
			ok = ok && good
			return n
		}
		switch string(line[:i]) {
		case "schema":
			schema = v
		case "pid":
			n := number()
			ok = ok && n > 0 && n < 1<<31
			e.PID = int(n)
		case "start":
			e.Start = number()
		case "since":
			n := number()
			ok = ok && n < 1<<63
			e.Since = int64(n)
		case "state":
			e.State = v
		case "token":
			e.Token = v
		case "parent":
			e.Parent = v
		case "depth":
			n := number()
			ok = ok && n <= maxDepth
			e.Depth = int(n)
		case "module":
			e.Module = v
		case "path":
			e.Path = v
		case "file":
			dev, ino, _ := bytes.Cut([]byte(v), []byte{':'})
			var good [2]bool
			e.File.Dev, good[0] = proc.Uint(dev)
			e.File.Ino, good[1] = proc.Uint(ino)
			ok = ok && good[0] && good[1]
		case "request":
			e.Request = v
		case "command":
			e.Command = v
		case "plain":
			e.Plain = v == "1"
		}
		return ok
	})
	switch e.State {
	case StateLoad, StateWait:
		ok = ok && e.Module != ""
	case StateCommand:
	default:
		ok = false
	}
	return e, ok && schema == "1" && e.PID > 0 && validToken(e.Token) && (e.Parent == "" || validToken(e.Parent))
}
