// SPDX-License-Identifier: Apache-2.0

package kmod

import "testing"

func TestFnmatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"a", "", false},
		{"*", "", true},
		{"pci:v*d*", "pci:v00008086d0000100E", true},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false},
		{"[!a]b", "cb", true},
		{"[!a]b", "ab", false},
		{"[]x]", "]", true},
		{"[0-9]", "5", true},
		{"[0-9", "[0-9", true},
		{"[[:digit:]_]", "_", true},
		{`\*`, "*", true},
		{`\*`, "x", false},
		{`x\`, `x\`, false},
		{"a/*", "a/b/c", true},
		{"?", ".", true},
	} {
		if got := Fnmatch(c.pattern, c.name); got != c.want {
			t.Errorf("Fnmatch(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}
