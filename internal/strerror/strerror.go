// SPDX-License-Identifier: Apache-2.0

// Package strerror gives the texts of glibc's strerror(3), which people and
// scripts know from kmod, without linking anything that costs at start-up.
package strerror

import "syscall"

// Text returns what glibc's strerror(3) says of e in the C locale.
func Text(e syscall.Errno) string {
	switch e {
	case 0:
		return "Success"
	case 133: // EHWPOISON, missing in package syscall
		return "Memory page has hardware error"
	}
	// Package syscall holds the same texts, generated from the C library,
	// but with the first letter in lower case.
	s := e.Error()
	if len(s) > 6 && s[:6] == "errno " {
		return "Unknown error " + s[6:]
	}
	if c := s[0]; c >= 'a' && c <= 'z' {
		return string(c-'a'+'A') + s[1:]
	}
	return s
}
