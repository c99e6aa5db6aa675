// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"cmp"
	"strings"
)

// Compare orders two versions as deb-version(7) does, but for an epoch: digits by their number, letters before all else,
// and a tilde before the end.
func Compare(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a = span(a, false)
		y, b = span(b, false)
		if c := compareText(x, y); c != 0 {
			return c
		}
		x, a = span(a, true)
		y, b = span(b, true)
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
	}
	return 0
}

// span is the beginning of s that has only digits, or none.
func span(s string, digits bool) (head, rest string) {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9') == digits {
		end++
	}
	return s[:end], s[end:]
}

func compareText(a, b string) int {
	for i := 0; i < len(a) || i < len(b); i++ {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func weight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i] >= 'a' && s[i] <= 'z', s[i] >= 'A' && s[i] <= 'Z':
		return int(s[i])
	}
	return int(s[i]) + 256
}
