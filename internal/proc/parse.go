// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"
	"strconv"
)

// Uint parses a decimal number of digits alone.
func Uint(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := uint64(c - '0')
		if v > (1<<64-1-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

// Hex parses a hexadecimal number, with or without 0x.
func Hex(b []byte) (uint64, bool) {
	b = bytes.TrimPrefix(b, []byte("0x"))
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		case c >= 'A' && c <= 'F':
			v = v<<4 | uint64(c-'A'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// Itoa is strconv.Itoa for numbers that are not negative.
func Itoa(v int) string { return Utoa(uint64(v)) }

// Utoa writes a number in decimal.
func Utoa(v uint64) string { return strconv.FormatUint(v, 10) }

// field cuts the next word off a line separated by single blanks.
func field(b []byte) (word, rest []byte) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}
