// SPDX-License-Identifier: Apache-2.0

// Package bare is for the tests of code that runs without Go's runtime, in
// internal/nowhere before it and in finit/unpackfork beside it: it finds in the
// machine code what is called. The contract is in internal/nowhere.
package bare

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Harmless is a function outside that may be called, with why.
type Harmless struct{ Name, Why string }

// harmless are those of the runtime. None of them looks at g, unless it says
// otherwise.
var harmless = []Harmless{
	{`runtime\.(duffzero|duffcopy)`, "plain assembly"},
	{`runtime\.morestack(_noctxt)?`, "never: the limit of the stack reads 0"},
	{`runtime\.panic(Bounds|Index|Slice[A-Z3]\w*|Slice\w*|IndexU|unsafestringlen|unsafestringnilptr|unsafeslicelen|unsafeslicenilptr|divide|shift)`,
		"a bug: faults on g.m, which is nil, and is caught"},
	{`runtime\.(unsafestring\w*|unsafeslice\w*)`, "a bug: as these"},
}

// Outside returns the calls that the contract does not allow, of all that can
// be reached from start, and what was reached. Functions of the packages, a
// regular expression, are looked into; others than the runtime's may be called.
func Outside(t *testing.T, program, packages, start string, others ...Harmless) (bad []string, seen map[string]bool) {
	t.Helper()
	may := append(others[:len(others):len(others)], harmless...)
	out, err := exec.Command("go", "tool", "objdump", "-s", "^"+packages+`\.`, program).Output()
	if err != nil {
		t.Fatalf("go tool objdump: %v", err)
	}
	var (
		calls    = map[string][]string{}
		function string
		call     = regexp.MustCompile(`\s([A-Z][A-Z0-9.]*)\s+(?:\S+,\s+)*(\S+)\(SB\)\s*$`)
		indirect = regexp.MustCompile(`\s(CALL|JMP|BLX?|BX|B|CALL\*|BLR|BR)\s+(\*|[A-Z]|[-0-9a-fx]*\(|\()[^<]*$`)
		local    = regexp.MustCompile(`\s(J[A-Z]+|B[A-Z.]*|CBN?ZW?|TBN?Z)\s+(\S+,\s+)*(0x[0-9a-f]+|-?\d+\(PC\))\s*$`)
	)
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\n")
		if name, ok := strings.CutPrefix(line, "TEXT "); ok {
			function, _, _ = strings.Cut(name, "(SB)")
			function = strings.TrimSuffix(function, ".abi0")
			// A function and what adapts its calling convention are one.
			if calls[function] == nil {
				calls[function] = []string{}
			}
			continue
		}
		switch m := call.FindStringSubmatch(line); {
		case m != nil && (strings.HasPrefix(m[1], "J") || strings.HasPrefix(m[1], "B") || m[1] == "CALL" ||
			strings.HasPrefix(m[1], "CB") || strings.HasPrefix(m[1], "TB")):
			target, _, _ := strings.Cut(m[2], "+")
			calls[function] = append(calls[function], strings.TrimSuffix(target, ".abi0"))
		case m == nil && !local.MatchString(line) && indirect.MatchString(line) && !strings.Contains(line, "(R14)") &&
			!strings.Contains(line, "(R30)"):
			calls[function] = append(calls[function], "indirect: "+strings.Join(strings.Fields(line)[3:], " "))
		}
	}
	seen = map[string]bool{}
	var walk func(name string)
	walk = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, c := range calls[name] {
			if _, ours := calls[c]; ours {
				walk(c)
				continue
			}
			ok := false
			for _, h := range may {
				ok = ok || regexp.MustCompile("^"+h.Name+"$").MatchString(c)
			}
			if !ok {
				bad = append(bad, name+" -> "+c)
			}
		}
	}
	if _, ok := calls[start]; !ok {
		t.Fatalf("%s: start is not in it", program)
	}
	walk(start)
	return bad, seen
}
