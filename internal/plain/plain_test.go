// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"plain (x) -> y":         "plain (x) -> y",
		"caf\u00e9 \u4e2d":       "caf\u00e9 \u4e2d",
		`back\slash`:             `back\slash`,
		"a\nsafeload: forged":    `a\x0asafeload: forged`,
		"\r\t\x00\x7f":           `\x0d\x09\x00\x7f`,
		"\x1b[2J":                `\x1b[2J`,
		"\u009b2J":               `\xc2\x9b2J`,
		"\x9b2J\xff":             `\x9b2J\xff`,
		"a\u202eb\u2066c\u200fd": `a\xe2\x80\xaeb\xe2\x81\xa6c\xe2\x80\x8fd`,
		"\u2028\u2029\u0085":     `\xe2\x80\xa8\xe2\x80\xa9\xc2\x85`,
		"\ufeff\u200b\u00a0":     `\xef\xbb\xbf\xe2\x80\x8b\xc2\xa0`,
		"\ufffd":                 "\ufffd", // as such
		"\xe2\x80":               `\xe2\x80`,
	} {
		if got := Text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("x\ny\u202e\x9b")
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q became %q, which is no UTF-8", s, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q kept %q", s, r)
			}
		}
		if Text(got) != got {
			t.Fatalf("%q is not the same a second time", got)
		}
	})
}

func TestSprintf(t *testing.T) {
	joined := errors.Join(errors.New("one\x1b"), fmt.Errorf("two: %w", errors.New("three\n")))
	got := Sprintf("%s|%v|%-4s|%d|%s|%d|%s|%q", "a\nb", joined, "\t", 7, Safe("\x1b[1m"), syscall.SIGTERM, []byte("\v"), "x")
	want := "a\\x0ab|one\\x1b; two: three\\x0a|\\x09|7|\x1b[1m|15|\\x0b|\"x\""
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	wrapped := fmt.Errorf("%w and %w", errors.New("a"), errors.New("b"))
	if got := Error(wrapped); got != "a and b" {
		t.Errorf("%q", got)
	}
	if n, err := Fprintf(&strings.Builder{}, "%v", nil); n == 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
