// SPDX-License-Identifier: Apache-2.0

package guard

// Verdict is what becomes of a load.
type Verdict uint8

const (
	Go     Verdict = iota // submit it
	Wait                  // not yet decided
	Refuse                // it would wait for itself
	Done                  // it went live by somebody else
	Again                 // it went away: from the beginning
	Failed                // somebody else's load has failed, and ours with it
	Follow                // submit it, to wait in the kernel; others have been told
)

func (v Verdict) letter(r *Refused) byte {
	if r != nil && r.Suspected {
		return 's'
	}
	return [...]byte{'g', 'w', 'r', 'd', 'a', 'f', 'g'}[v]
}
