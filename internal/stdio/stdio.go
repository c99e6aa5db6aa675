// SPDX-License-Identifier: Apache-2.0

// Package stdio reads text as programs in C do by fgets(3) and sscanf(3), to
// take of kmod's files what kmod takes of them.
package stdio

import (
	"math/bits"
	"strings"
)

// Line takes what fgets(3) reads into a buffer of that size from b, and cuts
// it at the first NUL.
func Line(b []byte, size int) (line string, rest []byte) {
	n := 0
	for n < len(b) && n < size-1 {
		n++
		if b[n-1] == '\n' {
			break
		}
	}
	line, _, _ = strings.Cut(string(b[:n]), "\x00")
	return line, b[n:]
}

// Unsigned is "%u" of sscanf(3): blanks, a sign, digits; as much as 32 bits hold.
func Unsigned(s string) (n uint32, rest string, ok bool) {
	s = Skip(s)
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	i, v, most := 0, uint64(0), false
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		hi, lo := bits.Mul64(v, 10)
		sum, carry := bits.Add64(lo, uint64(s[i]-'0'), 0)
		most = most || hi != 0 || carry != 0
		v = sum
	}
	switch {
	case i == 0:
		return 0, s, false
	case most:
		v = 1<<64 - 1
	case negative:
		v = -v
	}
	return uint32(v), s[i:], true
}

// blanks are what isspace(3) says yes to.
const blanks = " \t\n\v\f\r"

// Skip is a blank of sscanf(3).
func Skip(s string) string { return strings.TrimLeft(s, blanks) }

// Word is "%s" of sscanf(3).
func Word(s string) (word, rest string, ok bool) {
	s = Skip(s)
	n := strings.IndexAny(s, blanks)
	if n < 0 {
		n = len(s)
	}
	return s[:n], s[n:], n > 0
}
