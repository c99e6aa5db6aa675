// SPDX-License-Identifier: Apache-2.0

package kmsg

import "testing"

func TestAppendSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain (x) -> y":    "plain (x) -> y",
		"a\n<0>forged":      `a\x0a<0>forged`,
		"\x1b[2J":           `\x1b[2J`,
		"caf\u00e9\x7f\x00": `caf\xc3\xa9\x7f\x00`,
		"":                  "",
		"\r\t":              `\x0d\x09`,
	} {
		if got := string(AppendSafe(nil, in)); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzAppendSafe(f *testing.F) {
	f.Add("x\ny")
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range AppendSafe(nil, s) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q kept %q", s, c)
			}
		}
	})
}
