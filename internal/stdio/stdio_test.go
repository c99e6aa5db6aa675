// SPDX-License-Identifier: Apache-2.0

package stdio

import "testing"

func TestUnsigned(t *testing.T) {
	for s, want := range map[string]uint32{
		"7x": 7, " \t+8": 8, "-1": 1<<32 - 1, "4294967297": 1, "18446744073709551616": 1<<32 - 1, "007": 7,
	} {
		if n, _, ok := Unsigned(s); !ok || n != want {
			t.Errorf("%q is %d, %v; want %d", s, n, ok, want)
		}
	}
	for _, s := range [...]string{"", "x", "-", "+-1", " "} {
		if n, _, ok := Unsigned(s); ok {
			t.Errorf("%q is %d", s, n)
		}
	}
}

func TestLine(t *testing.T) {
	b := []byte("one\ntwo\x00x\nfour")
	for _, want := range [...]string{"one\n", "two", "fou", "r"} {
		size := 100
		if want == "fou" {
			size = 4
		}
		var line string
		if line, b = Line(b, size); line != want {
			t.Errorf("%q, want %q", line, want)
		}
	}
	if len(b) != 0 {
		t.Errorf("left: %q", b)
	}
}
