// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"safeload/bpf/layout"
	"safeload/guard/graph"
)

// Kind says what an [Event] reports (enum event_kind in src/state.h).
type Kind uint32

// The kinds of events, with what ID and Peer mean in each.
const (
	Request    Kind = iota + 1 // ID request, Peer the load it is made for; the requester is TID
	Child                      // ID request, Peer its load; TID is the child that the kernel started for it
	RequestEnd                 // ID request, Peer its load; its child is gone
	LoadBegin                  // ID load; Ret is the descriptor, or -1 (init_module)
	Init                       // ID load; it has its Name and its init runs next
	LoadEnd                    // ID load; Ret is the system call's result
	Wait                       // ID load, Peer the load it waits for, 0 if that one is not known; Cert if that one waits for it
	Opened                     // Peer the load that waits for this task, which has just opened its file; Cert is set
	Fork                       // Ret is the child, which descends from Ctx as its parent TID does
	Exec                       // Comm is the new one
	Exit
	Lock // ID load, Peer the request in which the holder of the lock waits that it waits for; 0: the holder is in none
)

var kindNames = [...]string{"", "request", "child", "request-end", "load", "init", "load-end",
	"wait", "opened", "fork", "exec", "exit", "lock"}

func (k Kind) String() string {
	if int(k) < len(kindNames) && k > 0 {
		return kindNames[k]
	}
	return "kind-" + strconv.Itoa(int(k))
}

// Via says how a [Request] came out of the load that it is made for.
type Via uint32

// The ways from a load to a request.
const (
	ViaNone    Via = iota // the requester acts for no load
	ViaTask               // the loading task itself waits in the request
	ViaKthread            // a kernel thread that its init started
	ViaWork               // a work item that its init queued
	ViaUnsure             // a work item that an interrupt queued: for whom is not known
)

func (v Via) String() string {
	switch v {
	case ViaNone:
		return "none"
	case ViaTask:
		return "task"
	case ViaKthread:
		return "kthread"
	case ViaWork:
		return "work"
	case ViaUnsure:
		return "unsure"
	}
	return "hop-" + strconv.Itoa(int(v))
}

// WaitHow says on which path a [Wait], [Opened] or [Lock] waits.
type WaitHow uint32

// The paths of a wait.
const (
	WaitName     WaitHow = iota + 1 // finished_loading: a module of that name is loading
	WaitFile                        // idempotent: the same inode is being loaded (6.11 and later)
	WaitFileHard                    // the same, and no signal ends it (6.5 to 6.10)
	WaitOpen                        // before such a wait: the file was opened
	WaitMutex                       // for a mutex
	WaitRead                        // to read, for a rw_semaphore that a writer holds
	WaitWrite                       // to write, for the same
)

func (h WaitHow) String() string {
	switch h {
	case WaitName:
		return "name"
	case WaitFile:
		return "file"
	case WaitFileHard:
		return "file-uninterruptible"
	case WaitOpen:
		return "open"
	case WaitMutex:
		return "mutex"
	case WaitRead:
		return "rwsem-read"
	case WaitWrite:
		return "rwsem-write"
	}
	return "wait-" + strconv.Itoa(int(h))
}

// Event is one thing that the probe saw. Every event carries who did it and
// when; the other fields are as the [Kind] says.
type Event struct {
	At     time.Duration // since boot, suspend included (CLOCK_BOOTTIME)
	Read   time.Duration // the same clock, when the reader had it
	ID     uint64
	Peer   uint64
	Ctx    uint64 // request that the task descends from, 0 if none
	Cgroup uint64 // v2 cgroup id: the inode number of its directory
	Kind   Kind
	TID    uint32 // in the initial pid namespace
	TGID   uint32
	How    uint32          // Via of a Request, WaitHow of a Wait, Opened or Lock
	Cert   graph.Certainty // that a load waits for itself; 0 if the probe saw no cycle
	Ret    int32           // of a Wait or Opened: the signal that was sent, or Unsent or Claimed
	Comm   string          // at most 15 bytes, any but NUL
	Name   string          // module or requested name, any bytes but NUL
}

// What became of the signal to a waiter, where none was sent.
const (
	Unsent  = -1
	Claimed = -2 // another waiter of the same cycle got it
)

// decodeEvent reads a struct event (src/state.h). All targets are little
// endian and the record has no padding, so one layout serves all.
func decodeEvent(b []byte) (Event, error) {
	if len(b) < layout.EventSize {
		return Event{}, fmt.Errorf("decode event: %d bytes, want %d", len(b), layout.EventSize)
	}
	le := binary.LittleEndian
	return Event{
		At:     time.Duration(le.Uint64(b[layout.EventAt:])),
		ID:     le.Uint64(b[layout.EventID:]),
		Peer:   le.Uint64(b[layout.EventPeer:]),
		Ctx:    le.Uint64(b[layout.EventCtx:]),
		Cgroup: le.Uint64(b[layout.EventCgroup:]),
		Kind:   Kind(le.Uint32(b[layout.EventKind:])),
		TID:    le.Uint32(b[layout.EventTID:]),
		TGID:   le.Uint32(b[layout.EventTGID:]),
		How:    le.Uint32(b[layout.EventHow:]),
		Cert:   graph.Certainty(le.Uint32(b[layout.EventCert:])),
		Ret:    int32(le.Uint32(b[layout.EventRet:])),
		Comm:   cString(b[layout.EventComm:][:layout.CommLen]),
		Name:   cString(b[layout.EventName:][:layout.NameLen]),
	}, nil
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
