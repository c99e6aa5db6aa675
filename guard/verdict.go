// SPDX-License-Identifier: Apache-2.0

package guard

// Verdict is what becomes of a load.
type verdict uint8

const (
	verdictGo     verdict = iota // submit it
	verdictWait                  // not yet decided
	verdictRefuse                // it would wait for itself
	verdictDone                  // it went live by somebody else
	verdictAgain                 // it went away: from the beginning
	verdictFailed                // somebody else's load has failed, and ours with it
	verdictFollow                // submit it, to wait in the kernel; others have been told
)

func (v verdict) letter(r *Refused) byte {
	if r != nil && r.Suspected {
		return 's'
	}
	return [...]byte{'g', 'w', 'r', 'd', 'a', 'f', 'g'}[v]
}
