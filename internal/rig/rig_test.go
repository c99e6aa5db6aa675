// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safeload/internal/rig/report"
)

func TestParseCase(t *testing.T) {
	text := `# shellcheck shell=dash
# what: a module
# kernels: arm-* amd64-6.12
# matrix: arm-6.12
# boot: stress
# limit: 240
# limit-full: 2200
# cpus: 2
# quick: yes
#
# limit: 1 is not read twice
setup() { :; }
control() {
	check() { :; }
}
check() { :; }
`
	c, err := ParseCase("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if c.What != "a module" || c.Group != "stress" || c.Limit != 240 || c.limit(true) != 2200 || c.CPUs != 2 || !c.Quick {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]string{"control"}, c.Phases(Stock)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"check"}, c.Phases(Safe)); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"# limit: x", "# cpus: 0", "# memory: -1"} {
		if _, err := ParseCase("x", []byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestApplies(t *testing.T) {
	c, err := ParseCase("x", []byte("# kernels: arm-* *-own\n# matrix: arm-6.12\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kernel       string
		matrix, wide bool
	}{{"arm-6.12", true, true}, {"arm-6.1", false, true}, {"amd64-own", false, true}, {"amd64-6.12", false, false}} {
		if c.Applies(tt.kernel, false) != tt.matrix || c.Applies(tt.kernel, true) != tt.wide {
			t.Errorf("%s: matrix %v, wide %v", tt.kernel, c.Applies(tt.kernel, false), c.Applies(tt.kernel, true))
		}
	}
}

// Every case that there is can be read, and owes a verdict.
func TestLoadCases(t *testing.T) {
	cases, err := LoadCases(filepath.Join("..", "..", "scripts", "vm", "cases"))
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		if len(c.Phases(Stock))+len(c.Phases(Safe)) == 0 {
			t.Errorf("%s owes no verdict", c.Name)
		}
		if c.What == "" {
			t.Errorf("%s does not say what it is", c.Name)
		}
	}
}

// A case runs the Go tests that its head names, and no others.
func TestCasesTests(t *testing.T) {
	dir := filepath.Join("..", "..", "scripts", "vm", "cases")
	cases, err := LoadCases(dir)
	if err != nil {
		t.Fatal(err)
	}
	runs := regexp.MustCompile(`gotest (\w+) |t/files/(\w+)\.test`)
	for _, c := range cases {
		text, err := os.ReadFile(filepath.Join(dir, c.Name+".sh"))
		if err != nil {
			t.Fatal(err)
		}
		var named, run []string
		for _, pkg := range c.Tests {
			if named = append(named, testName(pkg)); !there(filepath.Join("..", "..", pkg)) {
				t.Errorf("%s: no package %s", c.Name, pkg)
			}
		}
		for _, m := range runs.FindAllSubmatch(text, -1) {
			run = append(run, string(m[1])+string(m[2])+".test")
		}
		slices.Sort(named)
		slices.Sort(run)
		if d := cmp.Diff(named, slices.Compact(run)); d != "" {
			t.Errorf("%s: %s", c.Name, d)
		}
	}
}

func TestConsole(t *testing.T) {
	c := ReadConsole([]byte("[    8.5] slreq_h0: init\r\n#E# dummy aes \r\n[ 9.1] #R# self|check|pass|1.20|4 checks\r\n" +
		"#R# self|control|hang|3|text | with a bar\r\n#N# states|absent|0 x|y\r\n#L# self: ok: fine\r\n#L# self: NOT SO: bad\r\n" +
		"#R# early|check|pass|0.1|1 checks\r\n#R# self|stock|pass\r\n#END#\r\n"))
	if got := c.Verdicts("self", "check"); len(got) != 1 || got[0].Outcome != report.Pass || got[0].Seconds != "1.20" || got[0].Text != "4 checks" {
		t.Errorf("check: %+v", got)
	}
	// A word that is no verdict is a failure.
	if got := c.Verdicts("self", "control"); len(got) != 1 || got[0].Outcome != report.Fail || got[0].Text != "text | with a bar" {
		t.Errorf("control: %+v", got)
	}
	if got := c.Verdicts("self", "stock"); len(got) != 0 {
		t.Errorf("a line that was cut off gave %+v", got)
	}
	if diff := cmp.Diff([]Note{{"states", "absent", "0 x|y"}, {"early", "modules", "dummy aes "}}, c.Notes()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"self: NOT SO: bad"}, c.Said("self", 25)); diff != "" {
		t.Error(diff)
	}
	if !c.Ended() || !c.Reached() {
		t.Error("the end or /init was not seen")
	}
	if at, ok := ReadConsole([]byte("[   12.345678] slreq_h0: init")).InitBegan(); !ok || at != 12 {
		t.Errorf("init began at %d, %v", at, ok)
	}
}

func FuzzConsole(f *testing.F) {
	f.Add([]byte("#R# a|check|pass|1|x\n#N# a|b|c\n#E# m\n#R# early|check|pass|1|\n[ 1.2] slreq_h0: init\n#END#"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := ReadConsole(text)
		for _, v := range c.Verdicts("a", "check") {
			if v.Outcome != report.Pass && v.Outcome != report.Fail && v.Outcome != report.Skip {
				t.Errorf("outcome %q", v.Outcome)
			}
		}
		c.Notes()
		c.Said("a", 3)
		c.InitBegan()
		c.Ended()
	})
}

func FuzzParseCase(f *testing.F) {
	f.Add([]byte("# boot: x\n# limit: 3\ncheck() {\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := ParseCase("x", text); err == nil && (c.Limit <= 0 || c.Group == "" || c.CPUs < 0) {
			t.Errorf("%+v", c)
		}
	})
}

// What is owed and was not said has failed.
func TestJudge(t *testing.T) {
	c, err := ParseCase("a", []byte("check() {\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, console string
		fail          int
	}{
		{"passed", "#R# a|check|pass|1|x\n#END#\n", 0},
		{"no verdict", "#END#\n", 1},
		{"neither verdict nor end", "", 2},
		{"verdict, then an oops", "#R# a|check|pass|1|x\nOops\n", 1},
	} {
		g := &Guest{Group: "main", Mode: Safe, Cases: []*Case{c}}
		g.judge(ReadConsole([]byte(tt.console)), "the guest ended")
		if _, fail, _ := report.Count(g.verdicts); fail != tt.fail {
			t.Errorf("%s: %d failed, not %d: %+v", tt.name, fail, tt.fail, g.verdicts)
		}
	}
}

// A guest that is to stand still passes only if it was seen to, and was ended for it.
func TestJudgeStill(t *testing.T) {
	c, err := ParseCase("a", []byte("# stands-still: stock\ncontrol() {\n"))
	if err != nil {
		t.Fatal(err)
	}
	const began = "[   12.3] slreq_h0: init\n"
	for _, tt := range []struct {
		name, console string
		ending        ending
		want          report.Outcome
	}{
		{"stood still", began, asIntended, report.Pass},
		{"went on", began + "#E# \n", asIntended, report.Fail},
		{"QEMU died", began, byItself, report.Fail},
		{"never began", "", timedOut, report.Fail},
		{"began late", "[  120.3] slreq_h0: init\n", timedOut, report.Fail},
	} {
		g := &Guest{Group: "earlyrec", Mode: Stock, Cases: []*Case{c}, ending: tt.ending}
		g.judge(ReadConsole([]byte(tt.console)), "the guest ended")
		if len(g.verdicts) != 1 || g.verdicts[0].Outcome != tt.want {
			t.Errorf("%s: %+v", tt.name, g.verdicts)
		}
	}
}

func TestGroups(t *testing.T) {
	var cases []*Case
	for name, text := range map[string]string{"a": "control() {\ncheck() {\n", "b": "# cpus: 2\ncheck() {\n", "c": "# kernels: amd64-*\ncheck() {\n"} {
		c, err := ParseCase(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	got := map[string]int{}
	for _, g := range groups(cases, "arm-6.12", false, func(c *Case) int { return max(c.CPUs, 1) }) {
		got[g.Group+" "+string(g.Mode)] = len(g.Cases)
	}
	if diff := cmp.Diff(map[string]int{"main stock": 1, "main safe": 1, "main-smp2 safe": 1}, got); diff != "" {
		t.Error(diff)
	}
}

// Those that were not used for longest go first, and none that is in use.
func TestBoundSaved(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	for name, age := range map[string]time.Duration{"old": 9 * time.Hour, "older": 10 * time.Hour, "young": 3 * time.Hour, "used": time.Minute} {
		s := saved{dir: filepath.Join(dir, name)}
		if err := os.Mkdir(s.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.state(), make([]byte, 100), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(s.dir, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (names []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	for _, test := range []struct {
		most int64
		want []string
	}{
		{400, []string{"old", "older", "used", "young"}},
		{399, []string{"old", "used", "young"}},
		{250, []string{"used", "young"}},
		{0, []string{"used"}},
	} {
		if err := boundSaved(dir, test.most, now); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, left()); diff != "" {
			t.Errorf("%d bytes: %s", test.most, diff)
		}
	}
	if err := boundSaved(filepath.Join(dir, "none"), 0, now); err != nil {
		t.Error(err)
	}
	if (saved{dir: filepath.Join(dir, "older")}).used() == nil {
		t.Error("one that is gone was marked as used")
	}
}

// Only a guest that waits by the real clock for what must hang takes no slot of those that compute.
func TestIdles(t *testing.T) {
	for _, test := range []struct {
		text  string
		mode  Mode
		clock string
		board bool
		want  string
	}{
		{"control() {\ncheck() {\n", Stock, "", false, idling},
		{"control() {\ncheck() {\n", Stock, "1", false, computing},
		{"control() {\ncheck() {\n", Stock, "", true, computing},
		{"control() {\ncheck() {\n", Safe, "", false, computing},
		{"control() {\nstock() {\n", Stock, "", false, computing},
		{"# stands-still: stock\ncontrol() { :; }\n", Stock, "", false, idling},
	} {
		c, err := ParseCase("x", []byte(test.text))
		if err != nil {
			t.Fatal(err)
		}
		g := &Guest{Mode: test.mode, Cases: []*Case{c}, size: size{icount: test.clock}, Machine: Machine{Board: test.board}}
		if got := g.slot(); got != test.want {
			t.Errorf("%q, %s, clock %q, board %v: %s, not %s", test.text, test.mode, test.clock, test.board, got, test.want)
		}
	}
}

func TestCosts(t *testing.T) {
	c := &costs{by: map[string]time.Duration{}}
	c.take([]byte("#R# a|check|pass|1|x\r\n#L# b: ok\n"), 4*time.Second)
	c.take([]byte("#R# a|check|pass|1|x\r\n#L# b: ok\n#R# b|check|pa"), 9*time.Second)
	c.take([]byte("#R# a|check|pass|1|x\r\n#L# b: ok\n#R# b|check|pass|1|x\n#R# c|check|fail|1|x\n"), 10*time.Second)
	if diff := cmp.Diff(map[string]time.Duration{"a": 4 * time.Second, "b": 3 * time.Second, "c": 3 * time.Second}, c.by); diff != "" {
		t.Error(diff)
	}
	if got, ok := processorTime([]byte("7 (a) b (c) S 1 7 7 0 -1 4 1 2 3 4 150 50 0 0 20 0")); !ok || got != 2*time.Second {
		t.Errorf("processorTime: %v, %v", got, ok)
	}
	if _, ok := processorTime([]byte("7 (a")); ok {
		t.Error("half a line was read")
	}
}

// What a guest gets is the most that one of its cases needs; a case's words for the kernel stay in their order.
func TestMeasure(t *testing.T) {
	m, err := machineFor("", "arm")
	if err != nil {
		t.Fatal(err)
	}
	g := &Guest{Machine: m, Mode: Safe}
	for _, text := range []string{"# append: z=1 a=2\n# memory: 256\n# limit: 30\n", "# append: z=1 a=2\n# limit: 40\n", "# append: b\n"} {
		c, err := ParseCase("x", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		g.Cases = append(g.Cases, c)
	}
	(&run{}).measure(g)
	if g.append != "b z=1 a=2" || g.size != (size{256, 1, "1"}) || g.limit != 2*(90+30+40+60)*time.Second {
		t.Errorf("append %q, size %+v, limit %v", g.append, g.size, g.limit)
	}
	if !g.fresh() {
		t.Error("a guest with words of its own for the kernel would be resumed")
	}
}

// TestPrompt: a prompt without the name of a case is in a guest as the machine comes, with the real clock.
func TestPrompt(t *testing.T) {
	m, err := machineFor("", "arm")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCase("x", []byte("# append: b\n# memory: 256\n# icount: 1\n# cpus: 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	planned := Guest{Machine: m, Mode: Safe}
	all, named := &run{cases: []*Case{c}}, &run{Options: Options{Cases: []string{"x"}}, cases: []*Case{c}}
	if g := all.prompt(planned); g.append != "" || g.size != (size{768, 1, ""}) || g.fresh() || len(g.Cases) != 1 {
		t.Errorf("no name: append %q, size %+v, %d cases", g.append, g.size, len(g.Cases))
	}
	if g := named.prompt(planned); g.append != "b" || g.size != (size{256, 2, ""}) || len(g.Cases) != 1 {
		t.Errorf("by name: append %q, size %+v, %d cases", g.append, g.size, len(g.Cases))
	}
}

func TestCompare(t *testing.T) {
	stock, safe := &Guest{dir: t.TempDir()}, &Guest{dir: t.TempDir()}
	for g, text := range map[*Guest]string{stock: "#N# s|same|1\n#N# s|other|1\n", safe: "#N# s|same|1\n#N# s|other|2\n"} {
		if err := os.WriteFile(g.log(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]report.Outcome{}
	for _, v := range compare(stock, safe) {
		key, _, _ := strings.Cut(v.Text, ":")
		got[key] = v.Outcome
	}
	if diff := cmp.Diff(map[string]report.Outcome{"same": report.Pass, "other": report.Fail}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPack(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"a": "one", "b": "two"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(root, "l")); err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	base, err := Pack(&whole, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Len()%4 != 0 || !bytes.HasPrefix(whole.Bytes(), []byte("070701")) || !bytes.Contains(whole.Bytes(), []byte("TRAILER!!!")) {
		t.Errorf("%q", whole.Bytes())
	}
	if err := os.WriteFile(filepath.Join(root, "b"), []byte("2"), 0o644); err != nil {
		t.Fatal(err)
	}
	var part bytes.Buffer
	now, err := Pack(&part, root, base)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(part.Bytes(), []byte("one")) || !bytes.Contains(part.Bytes(), []byte("b\x002")) {
		t.Errorf("%q", part.Bytes())
	}
	if now.Sum() == base.Sum() {
		t.Error("another content has the same sum")
	}
}

// The directory of a run is in memory only where nobody has said another, and where there is such a one.
func TestWorkTop(t *testing.T) {
	t.Setenv("TMPDIR", "/tmp") // which gives it back
	if top := workTop("/dev/shm"); top != "" {
		t.Errorf("%q, and TMPDIR is said", top)
	}
	os.Unsetenv("TMPDIR")
	for _, memory := range []string{"/nonexistent", "/proc"} {
		if top := workTop(memory); top != "" {
			t.Errorf("%s is taken for memory", memory)
		}
	}
}

// Without test modules, what needs them is skipped by name, and a run of nothing else is an error.
func TestUnbuilt(t *testing.T) {
	all := []*Case{{Name: "self", testmods: true}, {Name: "tcrypt"}}
	for _, c := range []struct {
		name    string
		options Options
		run     []string
		skipped int
		fails   bool
	}{
		{"Debian's kernel", Options{}, []string{"self", "tcrypt"}, 0, false},
		{"a kernel with its tree", Options{Image: "zImage", Headers: "tree"}, []string{"self", "tcrypt"}, 0, false},
		{"a kernel without", Options{Image: "zImage"}, []string{"tcrypt"}, 1, false},
		{"named", Options{Image: "zImage", Cases: []string{"tcrypt", "self"}}, []string{"tcrypt"}, 1, false},
		{"named alone", Options{Image: "zImage", Cases: []string{"self"}}, nil, 1, true},
	} {
		r := &run{Options: c.options, all: all}
		err := r.selectCases()
		var names []string
		for _, c := range r.cases {
			names = append(names, c.Name)
		}
		if (err != nil) != c.fails || !slices.Equal(names, c.run) || len(r.skipped) != c.skipped {
			t.Errorf("%s: runs %q, skips %d, %v", c.name, names, len(r.skipped), err)
		}
	}
}
