// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"
	"time"
)

func TestPolling(t *testing.T) {
	const patience = 10 * time.Second
	zero := time.Now()
	// Each letter is a look, two seconds after the one before: a or b is what
	// it shows, in capitals with the command at work; - is one that shows
	// nothing, . one whose picture cannot be had.
	for looks, want := range map[string]bool{
		"aaaaaaaa":    false, // 14 s
		"aaaaaaaaa":   true,  // 16 s
		"aaaaa":       false,
		"baaaaaaaa":   false,
		"baaaaaaaaa":  true,
		"aaaa-aaaaa":  true,
		"aaaa--aaaaa": false,
		"a-a-a-a-a-a": true,
		"aaaa.aaaaa":  false,
		"aAAAAAAAAAA": false,
		"aAaAaAaAaAa": true,
		"aAAaAAaAAaA": false, // three in ten
		"aaaa----":    false,
		"a-------a":   false,
		"":            false,
	} {
		var p polling
		now, held := zero, false
		for _, l := range looks {
			switch held = false; l {
			case '-':
				p.miss()
			case '.':
				p.see("", false, now)
			case 'A':
				p.see("a", true, now)
			default:
				p.see(string(l), false, now)
			}
			held = l != '-' && p.held(patience, now)
			if l != '-' && (p.held(0, now) || p.held(-1, now)) {
				t.Errorf("%q: held with no patience", looks)
			}
			now = now.Add(2 * time.Second)
		}
		if held != want {
			t.Errorf("%q: %v, want %v", looks, held, want)
		}
	}
}
