// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"slices"
	"strings"
	"testing"

	"safeload/internal/getopt"
)

func TestSplitOptions(t *testing.T) {
	for value, want := range map[string][]string{
		"":              nil,
		"-q":            {"-q"},
		"-q -v":         {"-q", "-v"},
		"-C '/a b' -q":  {"-C", "/a b", "", "-q"},
		`-C"/a b"c -q`:  {"-C/a bc", "-q"},
		" -q":           {"", "-q"},
		"-d 'open":      {"-d", "'open"},
		`a'b"c'd e"f"g`: {`ab"cd`, "efg"},
	} {
		if got := splitOptions(value); !slices.Equal(got, want) {
			t.Errorf("splitOptions(%q) = %q, want %q", value, got, want)
		}
	}
}

func FuzzSplitOptions(f *testing.F) {
	f.Add("-C '/a b' -q")
	f.Add(`"`)
	f.Add(`''""'"'`)
	f.Fuzz(func(t *testing.T, value string) {
		words := splitOptions(value)
		if n := len(strings.Join(words, "")); n > len(value) || len(words) > len(value)+1 {
			t.Fatalf("%q becomes %q", value, words)
		}
	})
}

func FuzzGetopt(f *testing.F) {
	f.Add("-aD\x00--set-version=1\x00--\x00-x")
	f.Add("--re\x00-C\x00-w")
	f.Fuzz(func(t *testing.T, line string) {
		args := append([]string{"modprobe"}, strings.Split(line, "\x00")...)
		g := getopt.Parser{Args: args, Short: shortOptions, Long: longOptions[:], Errs: func(string) {}}
		for range len(line) + len(args) + 1 {
			if g.Next() == getopt.End {
				if len(g.Operands) >= len(args) {
					t.Fatal("more operands than arguments")
				}
				return
			}
		}
		t.Fatal("no end")
	})
}

func TestParseUnsigned(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "10": 10, "0x10": 16, "010": 8, " 5": 5, "+7": 7} {
		if got, ok := parseUnsigned(s); !ok || got != want {
			t.Errorf("parseUnsigned(%q) = %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", " ", "x", "1x", "0x", "09", "99999999999999999999", "-"} {
		if n, ok := parseUnsigned(s); ok {
			t.Errorf("parseUnsigned(%q) = %d", s, n)
		}
	}
}
