// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"maps"
	"slices"
	"strings"

	"safeload/internal/kallsyms"
)

// functionKinds are those that put a thread into the queue of a lock, and those that
// they may have been inlined into (kernel/locking).
var functionKinds = map[string]Kind{
	"__mutex_lock": Mutex, "__mutex_lock_common": Mutex, "__mutex_lock_slowpath": Mutex,
	"__mutex_lock_interruptible_slowpath": Mutex, "__mutex_lock_killable_slowpath": Mutex,
	"mutex_lock": Mutex, "mutex_lock_interruptible": Mutex, "mutex_lock_killable": Mutex, "mutex_lock_io": Mutex,
	"__ww_mutex_lock": Mutex, "__ww_mutex_lock_slowpath": Mutex, "__ww_mutex_lock_interruptible_slowpath": Mutex,
	"rwsem_down_read_slowpath": Read, "rwsem_down_write_slowpath": Read,
	"down_read": Read, "down_read_interruptible": Read, "down_read_killable": Read, "down_write": Read, "down_write_killable": Read,
}

var functionNames = slices.Collect(maps.Keys(functionKinds))

var _ = kallsyms.Want(functionNames...)

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

// readCode finds these functions among the kernel's, which are in the order of
// addresses. nil where the addresses are hidden.
func readCode(functions *kallsyms.Functions) Code {
	var all spans
	for _, f := range functions.Found {
		kind := functionKinds[f.Base()]
		if kind == Unknown || strings.HasPrefix(f.Clone(), "cold") || f.From == 0 || f.To == 0 {
			continue
		}
		all = append(all, span{from: f.From, to: f.To, kind: kind})
	}
	if len(all) == 0 {
		return nil
	}
	return all
}
