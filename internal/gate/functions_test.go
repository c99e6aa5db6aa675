// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strings"
	"testing"
)

func TestFunctionsFit(t *testing.T) {
	long := strings.Repeat("\tprintln()\n", functionLines)
	deep := strings.Repeat("if true {\n", functionDepth+1) + strings.Repeat("}\n", functionDepth+1)
	chain := "if true {\n}" + strings.Repeat(" else if true {\n}", functionDepth+1) + "\n"
	loops := "for {\nswitch {\ncase true:\nselect {\ndefault:\nfor range 3 {\nfunc() { switch any(1).(type) { case int: if true { println() } } }()\n}\n}\n}\n}\n"
	const reason = "// f is long.\n//\n// In one piece: it is one table, and reads as one.\n"
	for name, tt := range map[string]struct {
		source string
		bad    string
	}{
		"short":                 {"func f() {\n\tprintln()\n}\n", ""},
		"long":                  {"func f() {\n" + long + "}\n", "f has 72 lines, 0 deep"},
		"long, with a reason":   {reason + "func f() {\n" + long + "}\n", ""},
		"a reason, and no need": {reason + "func f() {}\n", "fits by now"},
		"no word of a reason":   {"// f.\n//\n// In one piece: is.\nfunc f() {\n" + long + "}\n", "72 lines"},
		"deep":                  {"func f() {\n" + deep + "}\n", "6 deep"},
		"a chain is not deep":   {"func f() {\n" + chain + "}\n", ""},
		"deep in all ways":      {"func f() {\n" + loops + "}\n", "6 deep"},
		"no Go":                 {"func", "expected"},
	} {
		err := functionsOf("f.go", []byte("package p\n\n"+tt.source))
		if (err == nil) != (tt.bad == "") || err != nil && !strings.Contains(err.Error(), tt.bad) {
			t.Errorf("%s: %v, want %q", name, err, tt.bad)
		}
	}
}
