// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
)

// functions are those that put a thread into the queue of a lock, and those that
// they may have been inlined into (kernel/locking).
var functions = map[string]Kind{
	"__mutex_lock": Mutex, "__mutex_lock_common": Mutex, "__mutex_lock_slowpath": Mutex,
	"__mutex_lock_interruptible_slowpath": Mutex, "__mutex_lock_killable_slowpath": Mutex,
	"mutex_lock": Mutex, "mutex_lock_interruptible": Mutex, "mutex_lock_killable": Mutex, "mutex_lock_io": Mutex,
	"__ww_mutex_lock": Mutex, "__ww_mutex_lock_slowpath": Mutex, "__ww_mutex_lock_interruptible_slowpath": Mutex,
	"rwsem_down_read_slowpath": Read, "rwsem_down_write_slowpath": Read,
	"down_read": Read, "down_read_interruptible": Read, "down_read_killable": Read, "down_write": Read, "down_write_killable": Read,
}

type span struct {
	from, to uint64
	kind     Kind
}

type spans []span

// Waiting implements [Code].
func (s spans) Waiting(addr uint64) Kind {
	for _, f := range s {
		if addr > f.from && addr <= f.to { // the address after a call may be the next function's
			return f.kind
		}
	}
	return Unknown
}

// readCode finds these functions in what /proc/kallsyms says, whose part for the
// kernel itself is in the order of addresses. nil where it shows no addresses.
func readCode(r io.Reader) (Code, error) {
	var all spans
	var open *span
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		line := sc.Bytes()
		hex, rest, _ := bytes.Cut(line, []byte(" "))
		if open != nil {
			at, err := strconv.ParseUint(string(hex), 16, 64)
			if err == nil && at > open.from {
				open.to = at
				all = append(all, *open)
				open = nil
			} else if err != nil || at < open.from {
				open = nil
			}
		}
		_, name, _ := bytes.Cut(rest, []byte(" "))
		base, clone, _ := bytes.Cut(name, []byte("."))
		kind := functions[string(base)]
		if kind == Unknown || bytes.HasPrefix(clone, []byte("cold")) || bytes.IndexByte(name, '\t') >= 0 {
			continue
		}
		if at, err := strconv.ParseUint(string(hex), 16, 64); err == nil && at != 0 {
			open = &span{from: at, kind: kind}
		}
	}
	if len(all) == 0 {
		return nil, sc.Err()
	}
	return all, sc.Err()
}
