// SPDX-License-Identifier: Apache-2.0

// Command bench measures the CPU time of safeload-modprobe beside kmod and an
// empty Go program, run in turns so that all meet the same weather, prints
// ratios and, with -check, fails if one is over its bound (bounds.go). Run by scripts/bench.sh, in a guest by the case bench.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// work is one thing to do, which each program does in its own words.
type work struct {
	Name string
	args []string
	// undo is what must follow each time, which is measured as well.
	undo *work
	// module is what args load and undo removes, "" for a look-up.
	module string
	// alone is what only safeload can do.
	alone bool
}

// measurement is what one program needed for one work.
type measurement struct {
	Schema  int     `json:"schema"`
	Work    string  `json:"work"`
	Program string  `json:"program"`
	CPU     float64 `json:"cpu_us"`      // user and system, mean of the quicker half of the runs
	Wall    float64 `json:"wall_us"`     // the same of elapsed time
	Faults  int64   `json:"page_faults"` // median
	// safeload's CPU and elapsed time to this program's.
	Ratio     float64 `json:"cpu_ratio"`
	WallRatio float64 `json:"wall_ratio"`
}

type program struct {
	name, path string
	root       string // of the system that it runs in, if not this one
	empty      bool   // takes no arguments
}

func main() {
	tree := flag.String("tree", "", "module tree (…/lib/modules/VERSION)")
	runs := flag.Int("runs", 200, "runs of each program for each work")
	ours := flag.String("ours", "", "safeload-modprobe")
	empty := flag.String("empty", "", "an empty Go program")
	var loads multi
	flag.Var(&loads, "load", "ROOT:MODULE, a module to load and remove, of the tree of the running kernel below ROOT; may be repeated")
	var alone multi
	flag.Var(&alone, "load-alone", "FILE:MODULE, as -load, of a file that kmod was built to not read: by safeload alone; may be repeated")
	late := flag.String("late", "", "safeload-modprobe with an entry that always starts Go's runtime")
	check := flag.Bool("check", false, "fail if a bound is missed")
	asJSON := flag.Bool("json", false, "print JSON, an object a line")
	flag.Parse()
	programs := []program{{name: "safeload-modprobe", path: *ours}}
	for _, a := range flag.Args() {
		name, path, ok := strings.Cut(a, "=")
		if !ok {
			fatal(fmt.Errorf("%q is not NAME=PATH", a))
		}
		p := program{name: name, path: path}
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			p.root, p.path = path, "/usr/bin/kmod"
		}
		programs = append(programs, p)
	}
	if *late != "" {
		programs = append(programs, program{name: peerLate, path: *late})
	}
	if *empty != "" {
		programs = append(programs, program{name: peerEmpty, path: *empty, empty: true})
	}
	works, err := chooseWorks(*tree, programs[1].path)
	if err != nil {
		fatal(err)
	}
	for _, l := range loads {
		root, module, _ := strings.Cut(l, ":")
		works = append(works, loadWork(root, module))
	}
	for _, l := range alone {
		file, module, _ := strings.Cut(l, ":")
		works = append(works, fileWork(file, module))
	}
	var all [][]measurement
	for _, w := range works {
		by := programs
		if w.alone {
			by = programs[:1]
		}
		lists, err := measure(w, by, *runs)
		if err != nil {
			fatal(err)
		}
		for i, list := range lists {
			if i > 0 {
				w = *w.undo
			}
			report(w, list, *asJSON)
		}
		all = append(all, lists...)
	}
	if *check && !holds(all) {
		os.Exit(1)
	}
}

// holds prints the bounds that are missed.
func holds(all [][]measurement) bool {
	if err := checkable(all); err != nil {
		fatal(err)
	}
	ok := true
	for _, list := range all {
		for _, m := range missed(list) {
			fmt.Fprintln(os.Stderr, "bench: MISSED:", m)
			ok = false
		}
	}
	return ok
}

func report(w work, list []measurement, asJSON bool) {
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		for _, m := range list {
			_ = e.Encode(m)
		}
		return
	}
	fmt.Printf("%s (modprobe %s)\n", w.Name, strings.Join(w.args, " "))
	for _, m := range list {
		fmt.Printf("  %-20s %8.0f us CPU %8.0f us elapsed %5d faults   safeload needs %.2fx the CPU, %.2fx the time\n",
			m.Program, m.CPU, m.Wall, m.Faults, m.Ratio, m.WallRatio)
	}
}

type multi []string

func (m *multi) String() string     { return strings.Join(*m, " ") }
func (m *multi) Set(s string) error { *m = append(*m, s); return nil }

// loadWork loads a module that nothing else needs, and removes it.
func loadWork(root, module string) work {
	args := []string{"-d", root, module}
	return work{Name: "loading " + module, args: args, undo: &work{Name: "removing " + module, args: append([]string{"-r"}, args...)}, module: module}
}

// fileWork loads the module of a file by safeload alone. What is removed after that, is not by modprobe, which finds
// modules of the tree only.
func fileWork(file, module string) work {
	return work{Name: "loading " + filepath.Base(file), args: []string{file}, module: module, alone: true}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// chooseWorks finds in the tree the names that the works need.
func chooseWorks(tree, kmod string) ([]work, error) {
	dep, err := os.ReadFile(filepath.Join(tree, "modules.dep"))
	if err != nil {
		return nil, err
	}
	root := strings.TrimSuffix(filepath.Dir(filepath.Dir(filepath.Dir(tree))), "/")
	base := []string{"-d", root, "-S", filepath.Base(tree)}
	module, best := "", 0
	for line := range strings.Lines(string(dep)) {
		path, deps, _ := strings.Cut(line, ":")
		if n := len(strings.Fields(deps)); n <= 30 && n > best {
			module, _, _ = strings.Cut(filepath.Base(path), ".ko")
			best = n
		}
	}
	alias, matches, err := widestAlias(tree, kmod, base)
	if err != nil {
		return nil, err
	}
	with := func(more ...string) []string { return append(slices.Clone(base), more...) }
	return []work{
		{Name: absentName, args: with("-q", "--", "nonesuch-module")},
		{Name: fmt.Sprintf("an alias of %d modules", matches), args: with("-R", "--", alias)},
		{Name: "a name that exists, as the kernel asks", args: with("-q", "-n", "--", module)},
		{Name: fmt.Sprintf("%d dependencies", best), args: with("-D", "--", module)},
	}, nil
}

// widestAlias samples modules.alias for the name that the most modules match.
func widestAlias(tree, kmod string, base []string) (alias string, matches int, err error) {
	text, err := os.ReadFile(filepath.Join(tree, "modules.alias"))
	if err != nil {
		return "", 0, err
	}
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i += max(1, len(lines)/200) {
		f := strings.Fields(lines[i])
		if len(f) != 3 || f[0] != "alias" || strings.ContainsAny(f[1], "[?") {
			continue
		}
		name := strings.ReplaceAll(f[1], "*", "0")
		cmd := exec.Cmd{Path: kmod, Args: append(append([]string{"modprobe"}, base...), "-R", "--", name)}
		out, err := cmd.Output()
		if n := strings.Count(string(out), "\n"); err == nil && n > matches {
			alias, matches = name, n
		}
	}
	if matches == 0 {
		return "", 0, fmt.Errorf("%s: no alias leads to a module", tree)
	}
	return alias, matches, nil
}

// sample is one run.
type sample struct {
	cpu, wall float64
	faults    int64
}

// measure returns the measurements of w, and of what undoes it.
func measure(w work, programs []program, runs int) ([][]measurement, error) {
	if w.module != "" {
		programs = slices.DeleteFunc(slices.Clone(programs), func(p program) bool { return p.empty })
	}
	samples := make([][2][]sample, len(programs))
	for range runs {
		for i, p := range programs {
			for j, step := range []*work{&w, w.undo} {
				if step == nil {
					continue
				}
				s, code, err := p.run(step.args)
				if err != nil {
					return nil, err
				}
				if w.module != "" {
					if _, err := os.Stat("/sys/module/" + w.module); code != 0 || (err == nil) != (j == 0) {
						return nil, fmt.Errorf("%s, %s: returns %d, the module's directory: %v", p.name, step.Name, code, err)
					}
				}
				samples[i][j] = append(samples[i][j], s)
				if w.alone {
					if err := unix.DeleteModule(w.module, unix.O_NONBLOCK); err != nil {
						return nil, fmt.Errorf("removing %s: %w", w.module, err)
					}
				}
			}
		}
	}
	var lists [][]measurement
	for j, step := range []*work{&w, w.undo} {
		if step == nil {
			continue
		}
		var list []measurement
		for i, p := range programs {
			s := samples[i][j]
			list = append(list, measurement{
				Schema: 1, Work: step.Name, Program: p.name, Faults: median(s, func(x sample) int64 { return x.faults }),
				CPU: mean(s, func(x sample) float64 { return x.cpu }), Wall: mean(s, func(x sample) float64 { return x.wall }),
			})
			list[i].Ratio, list[i].WallRatio = list[0].CPU/list[i].CPU, list[0].Wall/list[i].Wall
		}
		lists = append(lists, list)
	}
	return lists, nil
}

// run runs the program once.
func (p *program) run(args []string) (s sample, code int, err error) {
	args = append([]string{"modprobe"}, args...)
	if p.empty {
		args = args[:1]
	}
	cmd := exec.Cmd{Path: p.path, Args: args, Env: []string{"HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"}}
	if p.root != "" {
		cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Chroot: p.root}, "/"
	}
	start := time.Now()
	if err := cmd.Run(); err != nil {
		if _, ok := err.(*exec.ExitError); !ok {
			return s, 0, err
		}
	}
	ru := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return sample{
		cpu:    float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e3,
		wall:   float64(time.Since(start).Microseconds()),
		faults: int64(ru.Minflt), // 32 bits on 32-bit systems
	}, cmd.ProcessState.ExitCode(), nil
}

// mean is that of the quicker half.
func mean(s []sample, of func(sample) float64) float64 {
	v := make([]float64, len(s))
	for i := range s {
		v[i] = of(s[i])
	}
	slices.Sort(v)
	sum, n := 0.0, (len(v)+1)/2
	for _, x := range v[:n] {
		sum += x
	}
	return sum / float64(n)
}

// median is a page or two above the least where the stack lies badly.
func median(s []sample, of func(sample) int64) int64 {
	v := make([]int64, len(s))
	for i := range s {
		v[i] = of(s[i])
	}
	slices.Sort(v)
	return v[len(v)/2]
}
