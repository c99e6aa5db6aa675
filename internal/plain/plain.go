// SPDX-License-Identifier: Apache-2.0

// Package plain prints text that somebody else may have chosen: names of files,
// of processes and modules, arguments, what stands in files. It neither moves a
// terminal, nor ends a line, nor lets a line read otherwise than it is written.
//
// It is for people's output. kmod's programs print as kmod does, and the kernel's
// log is written by package kmsg.
package plain

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with the bytes of all that is not printable written as \xNN:
// control characters, C1 and what ends a line included, characters that have
// no form of their own, such as those that turn the direction of writing, and
// what is not UTF-8. A backslash stays as it is.
func Text(s string) string {
	const hex = "0123456789abcdef"
	i := 0
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !printable(r, n) {
			break
		}
		i += n
	}
	if i == len(s) {
		return s
	}
	b := []byte(s[:i])
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if printable(r, n) {
			b = append(b, s[i:i+n]...)
		} else {
			for _, c := range []byte(s[i : i+n]) {
				b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
			}
		}
		i += n
	}
	return string(b)
}

// printable is what unicode.IsPrint says, which has no place for format
// characters (Cf) nor for spaces but the usual one.
func printable(r rune, n int) bool {
	return (r != utf8.RuneError || n > 1) && unicode.IsPrint(r)
}

// Error is the [Text] of an error. Those that were joined, which their own text
// has on lines of their own, are divided by semicolons.
func Error(err error) string {
	if err == nil {
		return "<nil>"
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all := joined.Unwrap()
		lines := make([]string, len(all))
		for i, e := range all {
			lines[i] = e.Error()
		}
		if strings.Join(lines, "\n") == err.Error() { // errors.Join, not fmt.Errorf
			for i, e := range all {
				lines[i] = Error(e)
			}
			return strings.Join(lines, "; ")
		}
	}
	return Text(err.Error())
}

// Safe is text of our own, which the functions below leave as it is.
type Safe string

// Sprintf is [fmt.Sprintf] with the [Text] of all strings and errors among the
// arguments. The format is ours.
func Sprintf(format string, args ...any) string {
	safe := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case Safe:
			safe[i] = string(a)
		case string:
			safe[i] = Text(a)
		case []byte:
			safe[i] = Text(string(a))
		case error:
			safe[i] = Error(a)
		default:
			safe[i] = a
		}
	}
	return fmt.Sprintf(format, safe...)
}

// Fprintf is [fmt.Fprintf] of the same.
func Fprintf(w io.Writer, format string, args ...any) (int, error) {
	return io.WriteString(w, Sprintf(format, args...))
}
