// SPDX-License-Identifier: Apache-2.0

package syntax

// Lines splits a file of modprobe.d into logical lines as libkmod's
// freadline_wrapped does: a backslash before the end of the line joins it with
// the next one, and before anything else it is dropped.
type Lines struct {
	// Data is the file. It is changed where lines are joined.
	Data []byte
	// Count is the number of physical lines read so far.
	Count int
	next  int // where in Data the next line begins
}

// Next returns a logical line without its end, up to the first NUL. It is a
// part of Data.
func (l *Lines) Next() (line []byte, ok bool) {
	start := l.next
	if start >= len(l.Data) {
		return nil, false
	}
	// Most lines hold neither a backslash nor a NUL and are used in place.
	rest := l.Data[start:]
	end := len(rest)
	for i, c := range rest {
		if c > '\\' {
			continue
		}
		switch c {
		case '\n':
			l.Count++
			l.next = start + i + 1
			return rest[:min(i, end)], true
		case '\\':
			return l.wrapped(rest, i)
		case 0:
			end = min(i, end)
		}
	}
	l.Count++
	l.next = len(l.Data)
	return rest[:end], true
}

// wrapped continues Next at the first backslash, in place: what is written is
// never ahead of what is read.
func (l *Lines) wrapped(b []byte, i int) (line []byte, ok bool) {
	start, n := l.next, i
	l.next = len(l.Data)
	for ; i < len(b); i++ {
		c := b[i]
		if c == '\n' {
			l.Count++
			l.next = start + i + 1
			return UntilNUL(b[:n]), true
		}
		if c == '\\' {
			if i++; i == len(b) {
				break
			}
			if b[i] == '\n' {
				l.Count++
				continue
			}
			c = b[i]
		}
		b[n] = c
		n++
	}
	if n == 0 {
		return nil, false
	}
	l.Count++
	return UntilNUL(b[:n]), true
}

// UntilNUL is b as a C string.
func UntilNUL(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// Word takes the next word of s. Exactly one blank after it is dropped, so
// that rest is what strtok_r(3) leaves.
func Word(s []byte) (w, rest []byte) {
	i := 0
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	j := i
	for j < len(s) && s[j] != ' ' && s[j] != '\t' {
		j++
	}
	if j == len(s) {
		return s[i:], nil
	}
	return s[i:j], s[j+1:]
}

// Underscores writes a name of the configuration as depmod does: '-' becomes
// '_' except inside brackets. It tells whether the brackets pair; where they do
// not, b is as far changed as libkmod's is, whose messages show it.
func Underscores(b []byte) (ok bool) {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '-':
			b[i] = '_'
		case ']':
			return false
		case '[':
			for i < len(b) && b[i] != ']' {
				i++
			}
			if i == len(b) {
				return false
			}
		}
	}
	return true
}
