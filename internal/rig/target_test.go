// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safeload/internal/rig/report"
)

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]Target{
		"ssh://board":                       {Host: "board"},
		"ssh://root@10.0.0.2:2222":          {User: "root", Host: "10.0.0.2", Port: "2222"},
		"ssh://root@board-1.lab/":           {User: "root", Host: "board-1.lab"},
		"ssh://[fe80::1%25eth0]:22":         {Host: "fe80::1%eth0", Port: "22"},
		"ssh://first.last@_alias.of.config": {User: "first.last", Host: "_alias.of.config"},
	} {
		got, err := ParseTarget(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "board", "http://board", "ssh:board", "ssh://", "ssh://-oProxyCommand=x", "ssh://%2doProxyCommand=x",
		"ssh://a;b", "ssh://a%20b", "ssh://a$(b)", "ssh://`b`", "ssh://a%0ab", "ssh://a'b", "ssh://-l@board", "ssh://a%20b@board", "ssh://u:secret@board",
		"ssh://board/tmp", "ssh://board?x", "ssh://board#x", "ssh://board:0", "ssh://board:99999", "ssh://board:-p", "ssh://board:22x", "ssh://%zz",
		"ssh://a|b", "ssh://[-1]", "ssh://[fe80::1%25-o]x"} {
		if got, err := ParseTarget(bad); err == nil {
			t.Errorf("%q was taken for %+v", bad, got)
		} else if usage := (*UsageError)(nil); !errors.As(err, &usage) {
			t.Errorf("%q: %v is no error of usage", bad, err)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	f.Add("ssh://root@[::1%25x]:22")
	f.Add("ssh://-oX=y")
	f.Fuzz(func(t *testing.T, s string) {
		target, err := ParseTarget(s)
		if err != nil {
			return
		}
		for _, word := range []string{target.Host, target.User, target.Port} {
			if strings.HasPrefix(word, "-") || strings.ContainsAny(word, " \t\n\x00'\"$`\\;|&<>()*?#~!{}") {
				t.Errorf("%q: %+v", s, target)
			}
		}
		if again, err := ParseTarget(strings.ReplaceAll(target.String(), "%", "%25")); err != nil || again != target {
			t.Errorf("%q: %+v is written %s, which is %+v, %v", s, target, target, again, err)
		}
	})
}

// What ssh is given for a host comes after "--", and the command is one word.
func TestSSHArgs(t *testing.T) {
	args := Target{User: "u", Host: "h", Port: "22"}.args("a 'b'")
	if diff := cmp.Diff([]string{"-l", "u", "-p", "22", "--", "h", "a 'b'"}, args[len(args)-7:]); diff != "" {
		t.Error(diff)
	}
	if args := (Target{Host: "h"}).args("x"); strings.Contains(strings.Join(args, " "), " -l ") || strings.Contains(strings.Join(args, " "), " -p ") {
		t.Errorf("%q: a user or a port that the user's configuration should choose", args)
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "a b", "it's", "$(touch x)", "`x`", "a\nb", `"\`, "''", "-n", "*", "!x", "\t;|&"} {
		out, err := exec.Command("sh", "-c", "printf %s "+quote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q became %q, %v", s, out, err)
		}
		// A word in a word, as a login has it.
		out, err = exec.Command("sh", "-c", "exec sh -c "+quote("printf %s "+quote(s))).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q became %q, %v", s, out, err)
		}
	}
}

func TestNewBoard(t *testing.T) {
	for machine, arch := range map[string]string{"armv7l": "arm", "armv6l": "arm", "armv8l": "arm", "aarch64": "arm64", "x86_64": "amd64"} {
		b, err := newBoard(machine, "6.12.95+deb12-armmp", "h")
		if err != nil || b.Arch != arch || b.key() != arch+"-6.12" {
			t.Errorf("%s: %+v, %v", machine, b, err)
		}
	}
	for _, bad := range [][2]string{{"mips", "6.1"}, {"armv5tel", "6.1"}, {"armv7l", "../6.1"}, {"armv7l", "-6.1"}, {"armv7l", "6.1 x"}, {"armv7l", "6.1$(x)"},
		{"armv7l", ""}, {"armv7l", "x"}, {"armv7l", "6.1/x"}, {"armv7l", "6." + strings.Repeat("1", 80)}} {
		if b, err := newBoard(bad[0], bad[1], "h"); err == nil {
			t.Errorf("%q: %+v", bad, b)
		}
	}
}

func parse(t *testing.T, name, text string) *Case {
	t.Helper()
	c, err := ParseCase(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestElsewhere(t *testing.T) {
	b := Board{Arch: "arm", Release: "5.10.4-mine", Host: "h"}
	for text, want := range map[string]string{
		"# boot: stress\n# cpus: 2\n# modules: tcrypt\n":        "",
		"# kernels: arm-*\n":                                    "",
		"# copies: s0\n":                                        "needs test modules",
		"check() { start x modprobe slneed; }\n":                "needs test modules",
		"check() { echo slower slreq; }\n":                      "",
		"# fresh: yes\n":                                        "before /init",
		"# stands-still: stock\n":                               "before /init",
		"# append: x=y\n":                                       "command line: x=y",
		"# helper: none\n":                                      "without a helper",
		"# memory: 256\n":                                       "256 MB",
		"# extra: xz bench\n":                                   "extra: xz bench",
		"# kernels: arm-6.12 *-own\n":                           "not for arm-5.10",
		"# off-target: it eats the machine\n":                   "it eats the machine",
		"# known-red: it is not done\n# off-target: whatever\n": "known red: it is not done",
	} {
		got := parse(t, "x", text).elsewhere(b, false)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
	if why := parse(t, "x", "# copies: s0\n").elsewhere(b, true); why != "" {
		t.Errorf("with test modules: %s", why)
	}
}

// A case that changes a setting of the machine is one whose setting run.sh puts back, or does not run on one.
func TestKnobs(t *testing.T) {
	script, err := os.ReadFile("../../scripts/vm/guest/run.sh")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := LoadCases("../../scripts/vm/cases")
	if err != nil {
		t.Fatal(err)
	}
	runs, _ := Board{Arch: "arm", Release: "6.12.1", Host: "h"}.sort(cases, true)
	if len(runs) < 20 {
		t.Errorf("only %d cases can run on a machine that is real", len(runs))
	}
	for _, c := range runs {
		text, err := os.ReadFile(c.File)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			_, knob, ok := strings.Cut(line, ">/proc/sys/")
			if !ok {
				continue
			}
			knob = strings.FieldsFunc(knob, func(r rune) bool { return strings.ContainsRune(" ;&|)'\"", r) })[0]
			if !strings.Contains(string(script), knob) {
				t.Errorf("%s sets %s, and run.sh does not put it back", c.Name, knob)
			}
		}
	}
}

// A build tree that is not the machine's kernel's would give modules that it does not load.
func TestCarryHeaders(t *testing.T) {
	headers := t.TempDir()
	r := &run{Options: Options{Headers: headers}}
	b := Board{Arch: "arm", Release: "6.12.1", Host: "h"}
	if _, _, err := r.carry(t.Context(), b); err == nil || !strings.Contains(err.Error(), "modules_prepare") {
		t.Errorf("no release in it: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(headers, "include/config"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(headers, "include/config/kernel.release"), "6.12.2\n")
	if _, _, err := r.carry(t.Context(), b); err == nil || !strings.Contains(err.Error(), `"6.12.2"`) {
		t.Errorf("another release: %v", err)
	}
}

func TestCheckTarget(t *testing.T) {
	for _, good := range []Options{{}, {Target: "x"}, {Target: "x", Stock: true}, {Target: "x", Stock: true, Safe: true, RebootBetween: true}, {Target: "x", TargetDir: "/data/t"},
		{Bundle: "f", Arch: "arm", Release: "6.1"}, {Bundle: "f", Arch: "arm", Headers: "/b"}, {Read: "f", JSON: "x"}} {
		if err := good.checkTarget(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []Options{{Stock: true}, {RebootBetween: true}, {Release: "6.1"}, {TargetDir: "/x"}, {Target: "x", Read: "y"}, {Target: "x", Arch: "arm"}, {Target: "x", Demo: true},
		{Target: "x", Machine: "m"}, {Target: "x", Stock: true, Safe: true}, {Target: "x", TargetDir: "x"}, {Target: "x", TargetDir: "/x y"}, {Target: "x", TargetDir: "/x;y"},
		{Target: "x", Release: "6.1"}, {Bundle: "f"}, {Bundle: "f", Arch: "arm"}, {Bundle: "f", Arch: "arm", Release: "6.1", Headers: "/b"}, {Bundle: "f", Stock: true, Arch: "arm", Release: "6.1"},
		{Read: "f", Safe: true}} {
		if err := bad.checkTarget(); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestArchive(t *testing.T) {
	root := t.TempDir()
	for name, mode := range map[string]os.FileMode{"run.sh": 0o755, "d/f": 0o600} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("f", filepath.Join(root, "d/l")); err != nil {
		t.Fatal(err)
	}
	for top, want := range map[string][]string{
		"":  {"d/ 755 0 ", "d/f 600 0 ", "d/l 777 0 f", "run.sh 755 0 "},
		"x": {"x/ 755 0 ", "x/d/ 755 0 ", "x/d/f 600 0 ", "x/d/l 777 0 f", "x/run.sh 755 0 "},
	} {
		var out bytes.Buffer
		if err := Archive(&out, root, top); err != nil {
			t.Fatal(err)
		}
		var got []string
		in := tar.NewReader(&out)
		for {
			h, err := in.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %o %d %s", h.Name, h.Mode, h.Uid, h.Linkname))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", top, diff)
		}
	}
}

// recordedConsole is a serial line's log: what was typed, runs, and noise.
const recordedConsole = "login: root\r\n# sh safeload-board/run.sh stock\r\n#T# 1|stock|arm-6.12|bundle|6.12.1|self tcrypt gone\r\n" +
	"#T# skip|early|stock|it is about what happens before /init\r\n#T# skip|tcrypt|control|this machine has no module tcrypt\r\n" +
	"#N# self|word|same\r\n[ 12.5] noise #R# self|control|pass|31.02|kmod hung\x1b[2J\r\n#T# left: module slreq_s0, coming\r\n#END#\r\n" +
	"# reboot\r\n# sh safeload-board/run.sh safe\r\n#T# 1|safe|arm-6.12|bundle|6.12.1|self tcrypt\r\n#N# self|word|same\r\n#R# self|check|pass|1.5|5 checks\r\n#R# tcrypt|che"

func recordRun(t *testing.T, names ...string) *run {
	t.Helper()
	r := &run{work: t.TempDir(), Options: Options{Cases: names}}
	r.all = []*Case{parse(t, "self", "control() {\ncheck() {\n"), parse(t, "tcrypt", "control() {\ncheck() {\n"), parse(t, "early", "stock() {\n")}
	return r
}

func TestRecorded(t *testing.T) {
	r := recordRun(t)
	guests, err := r.recorded([]byte(recordedConsole), "cut off")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range r.collect(guests) {
		got = append(got, strings.Join([]string{v.Kernel, v.Version, v.Case, v.Phase, string(v.Outcome), v.Text}, "|"))
	}
	want := []string{
		"arm-6.12@bundle|6.12.1|early|stock|skip|it is about what happens before /init",
		"arm-6.12@bundle|6.12.1|gone|check|fail|there is no such case here: another state of the repository made the archive",
		"arm-6.12@bundle|6.12.1|self|check|pass|5 checks",
		"arm-6.12@bundle|6.12.1|self|control|pass|kmod hung?[2J",
		"arm-6.12@bundle|6.12.1|target|boot-safe|fail|cut off",
		"arm-6.12@bundle|6.12.1|target|left-stock|skip|module slreq_s0, coming",
		"arm-6.12@bundle|6.12.1|tcrypt|check|fail|cut off",
		"arm-6.12@bundle|6.12.1|tcrypt|control|skip|this machine has no module tcrypt",
		"arm-6.12@bundle|6.12.1|self|compare|pass|word: as kmod: same",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Of what was asked for by name, only that.
	guests, err = recordRun(t, "self").recorded([]byte(recordedConsole), "cut off")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range guests {
		for _, v := range g.verdicts {
			if v.Case == "tcrypt" || v.Case == "early" {
				t.Errorf("%+v", v)
			}
		}
	}
	if _, err := r.recorded([]byte("nothing\n#T# 1|neither|a|b|c|d\n#T# 1|safe|short\n"), ""); err == nil {
		t.Error("no run, and no error")
	}
}

// What stays behind after safeload's run is a failure, and why a run could not begin is said.
func TestLeft(t *testing.T) {
	for console, want := range map[string]string{
		"#T# 1|safe|arm-6.12|h|6.12.1|self\n#R# self|check|pass|1|x\n#T# left: /t\n#END#\n":          "target left-safe fail /t",
		"#T# 1|safe|arm-6.12|h|6.12.1|self\nrun.sh: there is a /t already\n":                         "self check fail there is a /t already",
		"#T# 1|safe|arm-6.12|h|6.12.1|self\n#T# the machine could not be prepared\nOops: 5 [#1]\n#E": "self check fail over",
	} {
		guests, err := recordRun(t).recorded([]byte(console), "over")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range guests[0].verdicts {
			got = append(got, strings.Join([]string{v.Case, v.Phase, string(v.Outcome), v.Text}, " "))
		}
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%q: %q, without %q", console, got, want)
		}
	}
}

func FuzzRecorded(f *testing.F) {
	f.Add([]byte(recordedConsole))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, run := range readRuns(text) {
			c := ReadConsole(run.text)
			c.skips()
			c.left()
			for _, b := range run.text {
				if b < ' ' && b != '\n' && b != '\t' {
					t.Fatalf("%q has a control character", run.text)
				}
			}
		}
	})
}

// fakeSSH puts an ssh into PATH that runs what it is to run on this machine, with a uname of its own. What stands in
// the file "cuts" is how often it loses the connection first; its arguments are in "calls".
func fakeSSH(t *testing.T, runSH string) (v *visit, tree, root string) {
	t.Helper()
	root, tree = t.TempDir(), t.TempDir()
	bin := filepath.Join(root, "bin")
	write := func(file, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(bin, "ssh"), `#!/bin/sh
root=`+quote(root)+`
for a; do printf '<%s>' "$a"; done >>$root/calls
echo >>$root/calls
while [ "$1" != -- ]; do shift; done
[ "$2" = board ] || exit 255
export PATH=$root/there:$PATH
echo "Welcome to board"
cuts=$(cat $root/cuts 2>/dev/null || echo 0)
case $3 in
*follow*) if [ "$cuts" -gt 0 ]; then
	echo $((cuts - 1)) >$root/cuts
	sh -c "$3" | head -c 11
	exit 255
fi ;;
esac
exec sh -c "$3"
`)
	write(filepath.Join(root, "there/uname"), "#!/bin/sh\n[ \"$1\" = -m ] && echo armv7l || echo 6.12.1-board\n")
	write(filepath.Join(root, "there/id"), "#!/bin/sh\necho 0\n")
	write(filepath.Join(tree, "run.sh"), runSH)
	write(filepath.Join(tree, "it's a file"), "x")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	parent := filepath.Join(root, "var")
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	return &visit{login: &login{Target: Target{Host: "board"}}, parent: parent, say: t.Logf, patience: time.Millisecond, reboots: 10 * time.Second}, tree, root
}

const fakeRun = `#!/bin/sh
here=$(dirname "$0")
case $1 in
start) printf '%s\n' "#T# 1|$2|arm-6.12|board|6.12.1|self tcrypt" "#R# self|check|pass|1|x" "#R# tcrypt|check|pass|2|y" "#END#" >"$here/console" ;;
follow) echo "#F#"; tail -c "+$(($2 + 1))" "$here/console" ;;
stop) echo stopped >>"$here/../stopped" ;;
clean) rm -rf "$here" ;;
esac
`

func TestVisit(t *testing.T) {
	v, tree, root := fakeSSH(t, fakeRun)
	b, err := v.arrive(t.Context())
	if err != nil || b != (Board{"arm", "6.12.1-board", "board"}) {
		t.Fatalf("%+v, %v", b, err)
	}
	var text bytes.Buffer
	end, err := v.play(t.Context(), tree, Safe, time.Minute, &text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(v.dir, "it's a file")); err != nil || string(got) != "x" {
		t.Errorf("what was copied: %q, %v", got, err)
	}
	guests, err := recordRun(t).recorded(text.Bytes(), end)
	if err != nil {
		t.Fatal(err)
	}
	if pass, fail, _ := report.Count(guests[0].verdicts); pass != 2 || fail != 0 {
		t.Errorf("%+v", guests[0].verdicts)
	}
	v.depart(t.Context())
	if _, err := os.Stat(v.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", v.dir, err)
	}
	calls, err := os.ReadFile(filepath.Join(root, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range strings.Split(strings.TrimSpace(string(calls)), "\n") {
		if !strings.Contains(call, "<--><board><exec sh -c '") {
			t.Errorf("ssh was called with %s", call)
		}
	}
}

// The machine that the rig runs on is no target, by whatever name it is reached.
func TestNotHere(t *testing.T) {
	v, _, root := fakeSSH(t, fakeRun)
	var wrong *UsageError
	if err := v.notHere(t.Context(), ownBootID); !errors.As(err, &wrong) {
		t.Errorf("this machine as its own target: %v", err)
	}
	other := filepath.Join(root, "other")
	if err := os.WriteFile(other, []byte("another\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := v.notHere(t.Context(), other); err != nil {
		t.Error(err)
	}
}

// A connection that is cut loses nothing of what is said; one that does not come back is a failure of what is owed.
func TestCut(t *testing.T) {
	for _, tt := range []struct {
		cuts       int
		pass, fail int
	}{{3, 2, 0}, {1000, 0, 3}} {
		v, tree, root := fakeSSH(t, fakeRun)
		if err := os.WriteFile(filepath.Join(root, "cuts"), fmt.Appendln(nil, tt.cuts), 0o644); err != nil {
			t.Fatal(err)
		}
		if tt.cuts == 1000 {
			// The machine is gone: nothing more comes, however often it is asked.
			fakeGone(t, root)
		}
		text := bytes.NewBufferString("")
		end, err := v.play(t.Context(), tree, Safe, time.Minute, text)
		if err != nil {
			t.Fatal(err)
		}
		if tt.cuts == 1000 {
			text = bytes.NewBufferString("#T# 1|safe|arm-6.12|board|6.12.1|self tcrypt\n" + text.String())
		}
		guests, err := recordRun(t).recorded(text.Bytes(), end)
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		if pass, fail, _ := report.Count(guests[0].verdicts); pass != tt.pass || fail != tt.fail {
			t.Errorf("%d cuts: %+v", tt.cuts, guests[0].verdicts)
		}
		v.depart(t.Context())
		if _, err := os.Stat(filepath.Join(v.dir, "console")); (err == nil) != (tt.fail > 0) {
			t.Errorf("%d cuts: what was said there, afterwards: %v", tt.cuts, err)
		}
		if tt.fail > 0 && !strings.Contains(guests[0].verdicts[0].Text, "lost") {
			t.Errorf("%+v", guests[0].verdicts[0])
		}
	}
}

func fakeGone(t *testing.T, root string) {
	t.Helper()
	file := filepath.Join(root, "bin/ssh")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gone := strings.Replace(string(text), "*follow*)", "*follow*) exit 255 ;;\n*nothing*)", 1)
	if err := os.WriteFile(file, []byte(gone), 0o755); err != nil {
		t.Fatal(err)
	}
}

// What does not end is stopped there, and what it then says is taken.
func TestVisitStops(t *testing.T) {
	stuck := strings.Replace(fakeRun, `follow) `, `follow) while [ -d "$here" ] && [ ! -e "$here/../stopped" ]; do sleep 0.05; done; `, 1)
	v, tree, root := fakeSSH(t, stuck)
	var text bytes.Buffer
	end, err := v.play(t.Context(), tree, Safe, 2*time.Second, &text)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(end, "stopped after 2 s") {
		t.Errorf("%q", end)
	}
	if _, err := os.Stat(filepath.Join(root, "var/stopped")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(text.String(), "#END#") {
		t.Errorf("what was said after it: %q", text.String())
	}
}

// The other side cannot choose what is removed at the end, or what is a release here.
func TestVisitHostile(t *testing.T) {
	v, tree, root := fakeSSH(t, fakeRun)
	for _, answer := range []string{"/", "/etc", root + "/var", root + "/var/../x", root + "/var/safeload.x y", "-rf", root + "/var/safeload.x/y"} {
		script := "#!/bin/sh\nmkdir -p " + quote(root+"/var/safeload.x") + "\nprintf '%s\\n' " + quote(answer) + "\n"
		if err := os.WriteFile(filepath.Join(root, "there/mktemp"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "there/chmod"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := v.copy(t.Context(), tree); err == nil {
			t.Errorf("%s was taken", answer)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "there/uname"), []byte("#!/bin/sh\necho '../../x'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if b, err := v.arrive(t.Context()); err == nil {
		t.Errorf("%+v", b)
	}
	nowhere := &login{Target: Target{Host: "other"}}
	if err := nowhere.run(context.Background(), nil, io.Discard, "true"); !errors.Is(err, errCut) {
		t.Errorf("a host that does not answer: %v", err)
	}
}

// It is over when another boot answers.
func TestReboot(t *testing.T) {
	v, tree, root := fakeSSH(t, strings.Replace(fakeRun, "stop)", "reboot) echo second >"+quote("ROOT")+"/id ;;\nundo) echo undone >>\"$here/undone\" ;;\nstop)", 1))
	cat := "#!/bin/sh\n[ \"$1\" != /proc/sys/kernel/random/boot_id ] || set -- " + quote(root+"/id") + "\nexec /bin/cat \"$@\"\n"
	if err := errors.Join(os.WriteFile(filepath.Join(root, "there/cat"), []byte(cat), 0o755), os.WriteFile(filepath.Join(root, "id"), []byte("first\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(tree, "run.sh"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "run.sh"), bytes.ReplaceAll(text, []byte("ROOT"), []byte(root)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := v.copy(t.Context(), tree); err != nil {
		t.Fatal(err)
	}
	if err := v.reboot(t.Context(), Board{"arm", "6.12.1-board", "board"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(v.dir, "undone")); err != nil {
		t.Errorf("what the first boot left was not undone: %v", err)
	}
	if err := v.reboot(t.Context(), Board{"arm", "6.1", "board"}); err == nil {
		t.Error("the second boot is of another kernel or the same one, and that was taken")
	}
}
