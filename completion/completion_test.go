// SPDX-License-Identifier: Apache-2.0

// Package completion_test holds the completions and manual pages against the
// program itself: each subcommand and option of the one is in the others, and
// none is in them that the program does not have.
package completion_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// options are those of each subcommand, as "-a" or "--all", sorted.
type options map[string][]string

var (
	commandLine = regexp.MustCompile(`(?m)^  ([\w-]+) +\S`)
	flagLine    = regexp.MustCompile(`(?m)^  -([A-Za-z][\w-]*)`)               // the flag package's help
	getoptLine  = regexp.MustCompile(`(?m)^\t(?:(-\w), |    )(--[a-z][\w-]*)`) // kmod's help
)

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// program builds safeload and asks it.
func program(t *testing.T) options {
	t.Helper()
	// go test keeps a result for as long as the files that the test itself
	// reads are the same; of what go build reads it knows nothing.
	for _, glob := range []string{"../cmd/safeload/*.go", "../internal/*/*.go", "../watch/*.go", "../audit/*.go"} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no sources, %v", glob, err)
		}
		for _, f := range files {
			read(t, f)
		}
	}
	bin := filepath.Join(t.TempDir(), "safeload")
	if out, err := exec.Command("go", "build", "-o", bin, "safeload/cmd/safeload").CombinedOutput(); err != nil {
		t.Fatalf("build safeload: %v\n%s", err, out)
	}
	help, err := exec.Command(bin, "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := options{}
	for _, m := range commandLine.FindAllStringSubmatch(string(help), -1) {
		name := m[1]
		all[name] = nil
		out, _ := exec.Command(bin, name, "-h").CombinedOutput()
		for _, o := range flagLine.FindAllStringSubmatch(string(out), -1) {
			if len(o[1]) == 1 {
				all[name] = append(all[name], "-"+o[1])
			} else {
				all[name] = append(all[name], "--"+o[1])
			}
		}
		for _, o := range getoptLine.FindAllStringSubmatch(string(out), -1) {
			for _, n := range o[1:] {
				if n != "" {
					all[name] = append(all[name], n)
				}
			}
		}
		all[name] = sorted(all[name])
	}
	if len(all) < 10 || len(all["modprobe"]) < 30 || len(all["install"]) != 4 {
		t.Fatalf("the help of the program is not understood any more: %v", all)
	}
	return all
}

func (want options) compare(t *testing.T, where string, got options) {
	t.Helper()
	for name, w := range want {
		g, ok := got[name]
		if !ok && len(w) > 0 {
			t.Errorf("%s: no command %s", where, name)
			continue
		}
		if g = sorted(g); !slices.Equal(g, w) {
			t.Errorf("%s: %s has options\n%q, the program\n%q", where, name, g, w)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: the program has no command %s", where, name)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func commands(t *testing.T, where string, want options, listed []string) {
	t.Helper()
	names := []string{"help"}
	for n := range want {
		names = append(names, n)
	}
	if names, listed = sorted(names), sorted(listed); !slices.Equal(names, listed) {
		t.Errorf("%s lists the commands\n%q, the program\n%q", where, listed, names)
	}
}

func TestCompletions(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program: not with -short")
	}
	want := program(t)
	t.Run("bash", func(t *testing.T) {
		text := read(t, "safeload.bash")
		got := options{}
		for _, m := range regexp.MustCompile(`(?m)^\t([\w-]+)\) echo "(.*)" ;;$`).FindAllStringSubmatch(text, -1) {
			got[m[1]] = strings.Fields(m[2])
		}
		want.compare(t, "bash", got)
		m := regexp.MustCompile(`compgen -W "([a-z -]+)" -- "\$cur"\)\n\t\t\treturn`).FindStringSubmatch(text)
		if m == nil {
			t.Fatal("no list of commands")
		}
		commands(t, "bash", want, strings.Fields(m[1]))
	})
	t.Run("zsh", func(t *testing.T) {
		text := read(t, "_safeload")
		got := options{}
		for _, m := range regexp.MustCompile(`(?ms)^\t([\w-]+)\)\n(.*?)^\t\t;;$`).FindAllStringSubmatch(text, -1) {
			got[m[1]] = nil
			for _, o := range regexp.MustCompile(`(?m)^\t\t\t'(?:\*|\([^)]*\))?(--?[\w-]+)=?\[`).FindAllStringSubmatch(m[2], -1) {
				got[m[1]] = append(got[m[1]], o[1])
			}
		}
		want.compare(t, "zsh", got)
		var listed []string
		for _, m := range regexp.MustCompile(`(?m)^\t\t\t'([a-z][\w-]*):[^:]`).FindAllStringSubmatch(text, -1) {
			listed = append(listed, m[1])
		}
		commands(t, "zsh", want, listed)
	})
	t.Run("fish", func(t *testing.T) {
		text := read(t, "safeload.fish")
		got := options{}
		for _, m := range regexp.MustCompile(`(?m)^complete -c safeload -n '__fish_seen_subcommand_from ([\w-]+)' (-.*)$`).FindAllStringSubmatch(text, -1) {
			flags, _, _ := strings.Cut(m[2], " -d ")
			for _, o := range regexp.MustCompile(`(?:^|\s)-([ls]) ([\w-]+)`).FindAllStringSubmatch(flags, -1) {
				got[m[1]] = append(got[m[1]], map[string]string{"l": "--", "s": "-"}[o[1]]+o[2])
			}
		}
		want.compare(t, "fish", got)
		var listed []string
		for _, m := range regexp.MustCompile(`__fish_use_subcommand -a ([\w-]+) `).FindAllStringSubmatch(text, -1) {
			listed = append(listed, m[1])
		}
		commands(t, "fish", want, listed)
	})
	t.Run("man", func(t *testing.T) {
		page := read(t, "../man/safeload.8")
		for name, opts := range want {
			if slices.Contains([]string{"modprobe", "insmod", "rmmod", "lsmod", "modinfo", "depmod", "kmod"}, name) {
				continue // kmod's pages have their options
			}
			if !strings.Contains(page, "\n.It Cm "+name+"\n") && !strings.Contains(page, "\n.It Cm "+name+" ") {
				t.Errorf("safeload.8 has no command %s", name)
			}
			for _, o := range opts {
				if !described(page, o) {
					t.Errorf("safeload.8 does not have %s %s", name, o)
				}
			}
		}
		for _, name := range []string{"modprobe", "depmod"} {
			page := read(t, "../man/safeload-"+name+".8")
			for _, o := range want[name] {
				if !described(page, o) {
					t.Errorf("safeload-%s.8 does not have %s", name, o)
				}
			}
		}
	})
}

// described: "-n" is "Fl n" to mdoc, "--json" is "Fl -json".
func described(page, option string) bool {
	return regexp.MustCompile(`\bFl ` + regexp.QuoteMeta(option[1:]) + `(\s|$)`).MatchString(page)
}

// TestSyntax has each shell read its file.
func TestSyntax(t *testing.T) {
	for shell, file := range map[string]string{"bash": "safeload.bash", "zsh": "_safeload", "fish": "safeload.fish"} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("no %s on this machine", shell)
			}
			if out, err := exec.Command(shell, "-n", file).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestBash completes as a person would.
func TestBash(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash on this machine")
	}
	for line, want := range map[string]string{
		"safeload ins":                  "insmod install",
		"safeload install --v":          "--via",
		"safeload install --via ":       "sysctl divert",
		"safeload audit --fail-on l":    "likely",
		"safeload-modprobe --first":     "--first-time",
		"/usr/sbin/safeload status --j": "--json",
	} {
		words := strings.Split(line, " ")
		script := fmt.Sprintf(`. ./safeload.bash; COMP_WORDS=("$@"); COMP_CWORD=%d; _safeload; echo "${COMPREPLY[*]}"`, len(words)-1)
		out, err := exec.Command("bash", append([]string{"-c", script, "bash"}, words...)...).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q completes to %q, want %q (%v)", line, got, want, err)
		}
	}
}

// TestFish asks the shell what it would offer.
func TestFish(t *testing.T) {
	if _, err := exec.LookPath("fish"); err != nil {
		t.Skip("no fish on this machine")
	}
	for line, want := range map[string]string{
		"safeload ins":                  "insmod install",
		"safeload install --v":          "--via",
		"safeload install --via ":       "divert sysctl",
		"safeload audit --fail-on l":    "likely",
		"safeload-modprobe --first":     "--first-time",
		"/usr/sbin/safeload status --j": "--json",
	} {
		out, err := exec.Command("fish", "--no-config", "-c", "source safeload.fish; complete -C $argv[1]", line).CombinedOutput()
		var got []string
		for l := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
			got = append(got, strings.TrimSuffix(word, "="))
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("%q completes to %q, want %q (%v)", line, got, want, err)
		}
	}
}

// typeInZsh presses TAB after a line in a shell of its own, and prints what the
// line is then, in brackets.
const typeInZsh = `
zmodload zsh/zpty || exit 1
zpty z zsh -f -i
zpty -w z 'PROMPT=; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D
show() { print -r -- "[$BUFFER]"; exit }; zle -N show; bindkey "^X" show; print re""ady'
zpty -r z all '*ready*'
zpty -w -n z "$1"$'\t\x18'
zpty -r z all '*\['"${1[1,4]}"'*\]*'
print -r -- "$all"
`

// TestZsh completes as a person would, where only one word fits.
func TestZsh(t *testing.T) {
	if _, err := exec.LookPath("zsh"); err != nil {
		t.Skip("no zsh on this machine")
	}
	for line, want := range map[string]string{
		"safeload inst":                 "safeload install ",
		"safeload install --v":          "safeload install --via=",
		"safeload rmmod no_such_":       "safeload rmmod no_such_",
		"safeload modprobe no_such_":    "safeload modprobe no_such_",
		"safeload install --via d":      "safeload install --via divert ",
		"safeload audit --fail-on l":    "safeload audit --fail-on likely ",
		"safeload-modprobe --first":     "safeload-modprobe --first-time ",
		"/usr/sbin/safeload status --j": "/usr/sbin/safeload status --json ",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		out, err := exec.CommandContext(ctx, "zsh", "-f", "-c", typeInZsh, "zsh", line).CombinedOutput()
		cancel()
		if !strings.Contains(string(out), "["+want+"]") || strings.Contains(string(out), "no such file") {
			t.Errorf("%q does not become %q: %q (%v)", line, want, out, err)
		}
	}
}

func TestManPagesLint(t *testing.T) {
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Skip("no mandoc on this machine")
	}
	pages, err := filepath.Glob("../man/*.[58]")
	if err != nil || len(pages) != 4 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, p := range pages {
		out, _ := exec.Command("mandoc", "-Tlint", p).CombinedOutput()
		for l := range strings.Lines(string(out)) {
			// Which pages are installed, and mandoc's index of them, is
			// this machine's affair.
			if !strings.Contains(l, "referenced manual not found") && !strings.Contains(l, "outdated mandoc.db") {
				t.Error(strings.TrimSpace(l))
			}
		}
	}
}
