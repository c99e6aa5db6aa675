// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"errors"

	"safeload/internal/observe"
)

var errNotAsked = errors.New("the kernel's memory was not asked")

// lockReader reads the locks of a look, for which it opens the kernel's memory once
// there is something to be asked.
type lockReader struct {
	open  func() (Locks, error)
	locks Locks
	err   error
}

// LockedAfter is how long a load must have slept for its lock to be looked for.
const LockedAfter = observe.HeldAfter

func (l *lockReader) read(w *observe.Waits, sv *Survey) {
	if !w.MayBeHeld() {
		return
	}
	if l.open == nil {
		l.err = errNotAsked
	}
	if l.locks == nil && l.err == nil {
		l.locks, l.err = l.open()
	}
	if sv.NoLocks = l.err; l.err != nil {
		w.GuessLocks()
		return
	}
	w.ReadLocks(l.locks)
	sv.LocksRead = true
}

func (l *lockReader) close() {
	if l.locks != nil {
		l.locks.Close()
	}
}
