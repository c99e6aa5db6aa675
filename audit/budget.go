// SPDX-License-Identifier: Apache-2.0

package audit

import "errors"

// ErrTooLarge says that a module was not analysed because that would take more
// work than any module is worth. What it says of itself (aliases, dependencies,
// exports) still counts for others.
var ErrTooLarge = errors.New("not analysed: too large")

// budget is the work that one module may cost, in steps: an instruction, a
// condition, a relocation that is looked at. What takes memory costs more, so
// that a gigabyte or so is the most. Time would give other results on another
// machine.
//
// Files that nobody trusts are read here, and much of the study is more than
// linear in what they say: functions may overlap, conditions pile up, each
// exported function is gone through from its start.
type budget struct{ left int64 }

// maxWork of one module, and once more when its names are resolved: some ten
// seconds. Of Debian's 6.12 for armmp no module takes a twentieth of it (option,
// by its aliases), or a fortieth for its code (ice).
const maxWork = 1 << 27

// spend takes n steps; it panics with ErrTooLarge when there are none left, for
// [budget.bounded] to catch.
func (b *budget) spend(n int) {
	if b.left -= int64(n); n < 0 || b.left < 0 {
		b.left = -1
		panic(ErrTooLarge)
	}
}

// spendEach takes some steps for each of n, which may be what a file says: more
// than an int holds on 32 bits.
func (b *budget) spendEach(n, steps int64) {
	if n < 0 || n > b.left/steps {
		b.left = -1
		panic(ErrTooLarge)
	}
	b.left -= n * steps
}

// bounded runs f until it has spent what there is.
func (b *budget) bounded(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if r != ErrTooLarge {
				panic(r)
			}
			err = ErrTooLarge
		}
	}()
	f()
	return nil
}
