// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safeload/internal/rig/cache"
	"safeload/internal/rig/kernels"
	"safeload/internal/rig/report"
	"safeload/internal/terminal"
)

// Options are what scripts/vm-test.sh takes.
type Options struct {
	Repo, Cache                string
	Arch, Series               string
	Machine                    string
	Cases                      []string
	Image, Modules, Headers    string // a kernel of one's own
	DTB                        string // the device tree of a board, if not the kernel's own
	SeedKernel                 bool
	Shell, Demo                bool
	Dist, JSON, JUnit, Keep    string
	Quick, Full, Boot, Verbose bool // Boot: boot each guest, resume none

	// A machine that is real: where it is, or the archive for it, or what it printed.
	Target, Bundle, Read       string
	TargetDir, Release         string
	Hold                       string // no guest by the real clock computes while another program has this file locked
	Stock, Safe, RebootBetween bool
}

// A UsageError is a wrong request; nothing was run.
type UsageError struct{ why string }

func (e *UsageError) Error() string { return e.why }

func usagef(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// run is one run of the rig.
type run struct {
	Options
	cache   string
	work    string
	kitchen *kitchen
	say     *progress
	saves   bool
	all     []*Case
	cases   []*Case // selected
	kernels []Kernel
	skipped []report.Verdict
	first   []report.Verdict // what failed at the first try, and not at the second

	savedBy perKey[saved] // the one saved guest of a kernel, machine and size
}

// Run runs what the options ask for. It returns the verdicts; an error says why there are none.
func Run(ctx context.Context, o Options) ([]report.Verdict, error) {
	if err := o.checkTarget(); err != nil {
		return nil, err
	}
	r, err := newRun(o)
	if err != nil {
		return nil, err
	}
	defer r.clean()
	if err := r.selectCases(); err != nil {
		return nil, err
	}
	if o.elsewhere() {
		return r.runElsewhere(ctx)
	}
	guests, err := r.plan()
	if err != nil {
		return nil, err
	}
	if o.Shell {
		return nil, r.shell(ctx, guests)
	}
	r.say.total(guests)
	guests, err = r.runAll(ctx, guests)
	r.say.end()
	if err != nil {
		return nil, err
	}
	verdicts := r.collect(guests)
	if err := r.write(verdicts, guests); err != nil {
		return verdicts, err
	}
	r.print(verdicts)
	switch {
	case o.Demo:
		r.story(guests)
	case len(guests) > 2:
		writeCosts(os.Stdout, guests)
	}
	return verdicts, ctx.Err()
}

// newRun reads what there is and selects the kernels; its directory is the caller's to clean.
func newRun(o Options) (_ *run, err error) {
	r := &run{Options: o, cache: o.Cache, say: newProgress(os.Stderr, filepath.Join(o.Cache, "rig-times"))}
	r.say.single = len(o.Cases) > 0 || o.Quick || o.Demo
	// A release's run boots each guest by itself.
	r.saves = !o.Full && !o.Boot
	if r.work, err = os.MkdirTemp(workTop("/dev/shm"), "safeload-vm."); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.clean()
		}
	}()
	if err := cache.Cache(o.Cache).Prepare(); err != nil {
		return nil, err
	}
	r.kitchen = newKitchen(o, r.work, r.say.line)
	if r.all, err = LoadCases(filepath.Join(o.Repo, "scripts/vm/cases")); err != nil {
		return nil, err
	}
	r.kernels = kernels.Table
	return r, r.selectKernels()
}

// workTop is where a run's directory is made: in memory, where the machine has enough of it and TMPDIR says nothing else. The
// roots of guests have a thousand files each, and ext4 is slow to make a file where many were removed a short time ago
// (recently_deleted in fs/ext4/ialloc.c).
func workTop(memory string) string {
	const room = 4 << 30 // a run has some 1 GB there
	var fs unix.Statfs_t
	if _, told := os.LookupEnv("TMPDIR"); told || unix.Statfs(memory, &fs) != nil || int64(fs.Type) != unix.TMPFS_MAGIC ||
		fs.Bavail*uint64(fs.Bsize) < room || unix.Access(memory, unix.W_OK) != nil {
		return ""
	}
	return memory
}

func (r *run) clean() { _ = os.RemoveAll(r.work) }

func (r *run) scale() string {
	if r.Full {
		return "full"
	}
	return "ci"
}

// words are the arguments of a guest's init: what it is for, at what scale, and whether its times are its own or those of a
// machine that others use as well.
func (r *run) words(g *Guest) string {
	clock := "real"
	if g.size.icount != "" {
		clock = "counted"
	}
	return string(g.Mode) + " " + r.scale() + " " + clock
}

func (r *run) selectKernels() error {
	if r.elsewhere() {
		return nil
	}
	if r.Arch == "" {
		r.Arch = ArchOf(r.Machine)
	}
	m, err := machineFor(r.Machine, r.Arch)
	if r.DTB != "" && !m.Board {
		return usagef("--dtb is for a board: needs --machine")
	}
	if r.SeedKernel {
		if m.Board || r.Image != "" {
			return usagef("--seed-kernel is a kernel of its own, for the machine virt alone")
		}
		r.kernels = []Kernel{{Key: "arm-own", Arch: "arm"}}
		return nil
	}
	if r.Image != "" {
		if err != nil {
			return usagef("--kernel-image needs --arch arm, arm64 or amd64, or a --machine of --list")
		}
		if r.Modules == "" {
			return usagef("--kernel-image needs --modules")
		}
		r.kernels = []Kernel{{Key: r.Arch + "-own", Arch: r.Arch}}
		return nil
	}
	arch, series := r.Arch, r.Series
	if r.Demo || r.Machine != "" {
		// Both are of one kernel, 32-bit ARM's unless said otherwise.
		if arch == "" {
			arch = "arm"
		}
		if series == "" {
			series = "6.12"
		}
	}
	var chosen []Kernel
	for _, k := range r.kernels {
		if (arch == "" || arch == k.Arch) && (series == "" || series == k.Series) {
			chosen = append(chosen, k)
		}
	}
	if len(chosen) == 0 {
		return usagef("no kernel for --arch %s --kernel %s; see --list", orAny(arch), orAny(series))
	}
	if r.Demo {
		chosen = chosen[:1]
	}
	r.kernels = chosen
	return nil
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}

func (r *run) selectCases() error {
	names := r.Cases
	switch {
	case r.Demo:
		names = []string{"tcrypt"}
	case r.SeedKernel && len(names) == 0:
		names = []string{"probe-hard"}
	}
	if len(names) > 0 {
		byName := map[string]*Case{}
		for _, c := range r.all {
			byName[c.Name] = c
		}
		for _, n := range names {
			if byName[n] == nil {
				return usagef("no case %s; see --list", n)
			}
			if !r.skipsUnbuilt(byName[n]) {
				r.cases = append(r.cases, byName[n])
			}
		}
		if len(r.cases) == 0 {
			return usagef("%s: %s", strings.Join(names, ", "), r.skipped[0].Text)
		}
		return nil
	}
	for _, c := range r.all {
		if r.Quick && !c.Quick {
			continue
		}
		if c.KnownRed != "" {
			r.skip(c, "known red: "+c.KnownRed)
			continue
		}
		if !r.skipsUnbuilt(c) {
			r.cases = append(r.cases, c)
		}
	}
	return nil
}

func (r *run) skip(c *Case, why string) {
	r.skipped = append(r.skipped, report.Verdict{Kernel: "*", Case: c.Name, Phase: "check", Outcome: report.Skip, Seconds: "0", Text: why})
}

// skipsUnbuilt skips a case that needs test modules if they cannot be built for the kernel.
func (r *run) skipsUnbuilt(c *Case) bool {
	if r.Image == "" || r.Headers != "" || !c.testmods {
		return false
	}
	r.skip(c, "it needs test modules: give the kernel's build tree with --headers")
	return true
}

// wide says whether cases run on all their kernels.
func (r *run) wide() bool {
	return r.Full || len(r.Cases) > 0 || r.Demo || r.SeedKernel || r.elsewhere()
}

// plan says which guests there are, the longest first.
func (r *run) plan() ([]*Guest, error) {
	var guests []*Guest
	for _, k := range r.kernels {
		m, err := machineFor(r.Machine, k.Arch)
		if err != nil {
			return nil, &UsageError{err.Error()}
		}
		guests = append(guests, r.guestsOn(k, m, r.cases)...)
		if r.Machine != "" || r.Quick || r.wide() || k.Key != boardKernel {
			continue
		}
		for _, m := range machines {
			if cases := onBoard(r.cases, m); len(cases) > 0 {
				guests = append(guests, r.guestsOn(k, m, cases)...)
			}
		}
	}
	sort.SliceStable(guests, func(i, j int) bool { return r.say.expected(guests[i]) > r.say.expected(guests[j]) })
	return guests, nil
}

// boardKernel is what boards are booted with in a run of the whole matrix.
const boardKernel = "arm-6.12"

func onBoard(cases []*Case, m Machine) []*Case {
	var on []*Case
	for _, c := range cases {
		if m.Board && slices.Contains(c.Boards, m.Name) {
			on = append(on, c)
		}
	}
	return on
}

func (r *run) guestsOn(k Kernel, m Machine, cases []*Case) []*Guest {
	guests := groups(cases, k.Key, r.wide(), func(c *Case) int { return r.cpus(c, m) })
	for _, g := range guests {
		g.Kernel, g.Machine = k, m
		r.measure(g)
		g.dir = filepath.Join(r.work, g.name())
	}
	return guests
}

// groups are the guests of one kernel, without what they run on. Cases that need more CPUs than others of their group
// get a guest of their own.
func groups(cases []*Case, kernel string, wide bool, cpus func(*Case) int) []*Guest {
	byName := map[string]*Guest{}
	var guests []*Guest
	for _, c := range cases {
		if !c.Applies(kernel, wide) {
			continue
		}
		for _, mode := range []Mode{Stock, Safe} {
			if len(c.Phases(mode)) == 0 {
				continue
			}
			group := c.Group
			if n := cpus(c); n > 1 {
				group += fmt.Sprintf("-smp%d", n)
			}
			key := group + " " + string(mode)
			if byName[key] == nil {
				byName[key] = &Guest{Group: group, Mode: mode}
				guests = append(guests, byName[key])
			}
			byName[key].Cases = append(byName[key].Cases, c)
		}
	}
	return guests
}

// measure sets what a guest gets of its machine, and how long it may take, by its cases.
func (r *run) measure(g *Guest) {
	g.size = size{memory: g.Machine.Memory, cpus: g.Machine.CPUs}
	seconds, appended, memory := 90, map[string]bool{}, 0
	for _, c := range g.Cases {
		seconds += c.limit(r.Full)
		if c.Append != "" {
			appended[c.Append] = true
		}
		memory = max(memory, c.Memory)
		g.size.cpus = max(g.size.cpus, r.cpus(c, g.Machine))
		if g.size.icount == "" && g.Mode != Shell {
			g.size.icount = c.Icount
		}
	}
	if memory > 0 && !g.Machine.Board {
		g.size.memory = memory
	}
	if n, err := strconv.Atoi(os.Getenv("VM_MEMORY")); err == nil {
		g.size.memory = n
	}
	if n, err := strconv.Atoi(os.Getenv("VM_CPUS")); err == nil {
		g.size.cpus = n
	}
	if g.size.icount == "" && r.counts(g) {
		g.size.icount = g.Machine.Icount
	}
	if n, ok := os.LookupEnv("VM_ICOUNT"); ok {
		g.size.icount = n
	}
	g.fills = g.size.icount != "" && r.fills()
	if g.size.icount != "" {
		seconds *= 2 // such a guest's seconds can be longer than the host's
	} else {
		seconds *= 3 // its cases have limits that are so much further (far in guest/lib.sh)
	}
	if !r.Full && !r.Boot {
		g.spare = g.Machine.Spare
	}
	g.append = strings.Join(slices.Sorted(maps.Keys(appended)), " ")
	g.limit = time.Duration(seconds) * time.Second
	if g.standsStill() {
		g.limit = 150 * time.Second
	}
	if g.Mode == Shell {
		g.limit = 4 * time.Hour
		if n, err := strconv.Atoi(os.Getenv("SHELL_LIMIT")); err == nil {
			g.limit = time.Duration(n) * time.Second
		}
	}
}

// cpus are those that a case is to have: a race between CPUs needs two, and gets four in a run of the full scale. The
// 64-bit guests have one: with several TCG threads they were seen to stall.
func (r *run) cpus(c *Case, m Machine) int {
	switch {
	case m.Board:
		return 1 // has what it has
	case c.CPUs == 0 || m.Arch != "arm":
		return 1
	case r.Full:
		return max(c.CPUs, 4)
	}
	return c.CPUs
}

// counted are the groups that were seen to be right where the time of a 64-bit guest counts its instructions. Those of amd64
// that compute more than they wait are right as well, and dearer: locks took 55 s of a processor instead of 43, diagnose 212
// instead of 168, settings 174 instead of 123.
var counted = map[string][]string{"arm64": {"main"}, "amd64": {"main", "stress", "oom", "held"}}

// counts says whether a guest's time is to count its instructions, and to skip what it is idle: kmod's hang of 31 s is
// then over in six. Nobody at a console can wait in such a time, several CPUs would run one after the other, and a guest
// that stands still is looked at by the host's clock.
func (r *run) counts(g *Guest) bool {
	if g.Machine.Arch != "arm" && !slices.Contains(counted[g.Machine.Arch], g.Group) {
		return false
	}
	return g.Mode != Shell && !r.Demo && g.size.cpus == 1 && !g.standsStill()
}

// collect gives all verdicts, by kernel and case.
func (r *run) collect(guests []*Guest) []report.Verdict {
	var verdicts []report.Verdict
	for _, g := range guests {
		verdicts = append(verdicts, g.verdicts...)
	}
	sort.SliceStable(verdicts, func(i, j int) bool {
		a, b := verdicts[i], verdicts[j]
		return a.Kernel+"|"+a.Case+"|"+a.Phase < b.Kernel+"|"+b.Case+"|"+b.Phase
	})
	for _, p := range pairs(guests) {
		verdicts = append(verdicts, compare(p.stock, p.safe)...)
	}
	return append(r.markSecond(verdicts), r.skipped...)
}

// compare says whether what was noted in both boots is the same.
func compare(stock, safe *Guest) []report.Verdict {
	a, errA := os.ReadFile(stock.log())
	b, errB := os.ReadFile(safe.log())
	if errA != nil || errB != nil {
		return nil // that a guest said nothing is a failure already
	}
	var verdicts []report.Verdict
	theirs, ours := byKey(ReadConsole(a).Notes()), byKey(ReadConsole(b).Notes())
	for _, n := range sortedKeys(theirs) {
		kmod, safeload := theirs[n], ours[n]
		v := stock.verdict(n.Case, "compare", report.Pass, "0", n.Key+": as kmod: "+cut(strings.ReplaceAll(kmod[0], "|", "/"), 120))
		v.Log = ""
		if strings.Join(kmod, "\n") != strings.Join(safeload, "\n") {
			v.Outcome = report.Fail
			v.Text = fmt.Sprintf("%s: kmod: %s safeload: %s", n.Key, strings.Join(kmod, " "), strings.Join(safeload, " "))
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func cut(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}

func byKey(notes []Note) map[Note][]string {
	m := map[Note][]string{}
	for _, n := range notes {
		k := Note{Case: n.Case, Key: n.Key}
		m[k] = append(m[k], n.Value)
		sort.Strings(m[k])
	}
	return m
}

func sortedKeys(m map[Note][]string) []Note {
	keys := make([]Note, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i].Case+"|"+keys[i].Key < keys[j].Case+"|"+keys[j].Key })
	return keys
}

// failedLogs is where the logs of failed guests are kept.
func (r *run) failedLogs() string {
	if r.Keep != "" {
		return r.Keep
	}
	return filepath.Join(r.cache, "log/failed")
}

// write leaves the reports and the logs where they were asked for.
func (r *run) write(verdicts []report.Verdict, guests []*Guest) error {
	var errs []error
	to := func(file string, f func(*os.File) error) {
		if file == "" {
			return
		}
		out, err := os.Create(file)
		if err == nil {
			err = errors.Join(f(out), out.Close())
		}
		errs = append(errs, err)
	}
	to(r.JSON, func(f *os.File) error { return report.WriteJSON(f, verdicts) })
	to(r.JUnit, func(f *os.File) error { return report.WriteJUnit(f, "vm", verdicts) })
	if _, failed, _ := report.Count(verdicts); failed > 0 {
		r.Keep = r.failedLogs()
	}
	if r.Keep == "" {
		return errors.Join(errs...)
	}
	errs = append(errs, os.MkdirAll(r.Keep, 0o755))
	for _, g := range guests {
		if text, err := os.ReadFile(g.log()); err == nil {
			errs = append(errs, os.WriteFile(filepath.Join(r.Keep, g.name()+".log"), text, 0o644))
		}
	}
	to(filepath.Join(r.Keep, "results"), func(f *os.File) error {
		for _, v := range verdicts {
			fmt.Fprintf(f, "%s|%s|%s|%s|%s|%s|%s\n", v.Kernel, v.Case, v.Phase, v.Outcome, v.Seconds, v.Text, v.Log)
		}
		return nil
	})
	r.say.line("guests' logs: %s", r.Keep)
	return errors.Join(errs...)
}

// shell gives a prompt in the first kernel's guest, with all that the selected cases have.
func (r *run) shell(ctx context.Context, guests []*Guest) error {
	if len(guests) == 0 {
		return usagef("no kernel for a prompt")
	}
	g := r.prompt(*guests[0])
	var err error
	if g.kernel, err = r.kitchen.prepare(ctx, g.Kernel); err != nil {
		return err
	}
	g.dir = filepath.Join(r.work, "shell")
	if err := os.MkdirAll(g.dir, 0o755); err != nil {
		return err
	}
	if err := r.input(g.dir); err != nil {
		return err
	}
	if err := r.kitchen.root(ctx, g.kernel, g.dir, g.Mode, g.Cases, false); err != nil {
		return err
	}
	kind := computing
	if terminal.Is(os.Stdin) {
		kind = idling // a guest at whose prompt somebody sits
	}
	slot, err := takeSlot(ctx, r.cache, kind)
	if err != nil {
		return err
	}
	defer slot.Close()
	if r.saves && !g.fresh() {
		if _, err = r.resume(ctx, &g, slot); !errors.Is(err, errNoPort) {
			return err
		}
	}
	return r.bootShell(ctx, &g, slot)
}

// prompt makes a guest with a prompt of one that is planned: with the files of all cases, and as those that were named want
// it. Without a name it is the machine as it comes: one that all cases want together there is not.
func (r *run) prompt(g Guest) Guest {
	g.Mode, g.Group, g.Cases = Shell, "shell", nil
	if len(r.Options.Cases) > 0 {
		g.Cases = r.cases
	}
	r.measure(&g)
	g.Cases = r.cases
	return g
}

// Times are how long guests took, from run to run, and under "cpu NAME" how much of a processor that was.
type times map[string]float64

func readTimes(file string) times {
	t := times{}
	if b, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(b, &t) // without them the order is worse, and nothing else
	}
	return t
}
