// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"safeload/internal/rig/report"
)

// targetModes are those that the options ask for on a machine that is real: the controls leave what hangs, so they are run
// when they are asked for, and what comes after them needs a reboot.
func (o Options) targetModes() []Mode {
	switch {
	case o.RebootBetween:
		return []Mode{Stock, Safe}
	case o.Stock:
		return []Mode{Stock}
	}
	return []Mode{Safe}
}

// checkTarget refuses options that do not go together.
func (o Options) checkTarget() error {
	what := 0
	for _, s := range []string{o.Target, o.Bundle, o.Read} {
		if s != "" {
			what++
		}
	}
	switch {
	case what > 1:
		return usagef("only one of --target, --bundle and --read")
	case what == 0 && (o.Stock || o.Safe || o.RebootBetween || o.TargetDir != "" || o.Release != ""):
		return usagef("--stock, --safe, --reboot-between and --target-dir need --target, --release needs --bundle")
	case what == 0:
		return nil
	case o.Target == "" && (o.Stock || o.Safe || o.RebootBetween || o.TargetDir != ""):
		return usagef("--stock, --safe, --reboot-between and --target-dir need --target")
	case o.Demo || o.Shell || o.SeedKernel || o.Image != "" || o.Modules != "" || o.Series != "" || o.Machine != "" || o.Full || o.Boot:
		return usagef("a machine that is real has its own kernel: only --case, --headers, --dist and the reports go with --target, --bundle and --read")
	case o.Target != "" && o.Arch != "":
		return usagef("the target says its architecture itself")
	case o.Stock && o.Safe && !o.RebootBetween:
		return usagef("--stock leaves what hangs: --safe after it needs --reboot-between")
	case o.TargetDir != "" && (!path.IsAbs(o.TargetDir) || strings.ContainsFunc(o.TargetDir, oddInPath)):
		return usagef("--target-dir %q: an absolute path of letters, digits and ._/- is expected", o.TargetDir)
	case o.Bundle != "" && (o.Arch == "" || (o.Release == "") == (o.Headers == "")):
		return usagef("--bundle needs --arch, and --release (what uname -r says there) or --headers")
	case o.Bundle == "" && o.Release != "":
		return usagef("--release is for --bundle")
	}
	return nil
}

func oddInPath(r rune) bool {
	return !strings.ContainsRune("._/-", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// elsewhere says whether the options are about a machine that is real.
func (o Options) elsewhere() bool { return o.Target != "" || o.Bundle != "" || o.Read != "" }

// runElsewhere is Run for these.
func (r *run) runElsewhere(ctx context.Context) ([]report.Verdict, error) {
	var guests []*Guest
	var err error
	switch {
	case r.Bundle != "":
		return nil, r.bundle(ctx)
	case r.Read != "":
		var text []byte
		if text, err = os.ReadFile(r.Read); err != nil {
			return nil, err
		}
		guests, err = r.recorded(text, "the output ends there")
	default:
		guests, err = r.onTarget(ctx)
	}
	if err != nil {
		return nil, err
	}
	verdicts := r.collect(guests)
	if err := r.write(verdicts, guests); err != nil {
		return verdicts, err
	}
	r.print(verdicts)
	return verdicts, ctx.Err()
}

// recorded makes guests of what run.sh has said, one for each run in it.
func (r *run) recorded(text []byte, end string) ([]*Guest, error) {
	runs := readRuns(text)
	if len(runs) == 0 {
		return nil, errors.New("no run is in it: what run.sh prints begins with a line '#T# 1|'")
	}
	var guests []*Guest
	for i, run := range runs {
		g := &Guest{Kernel: Kernel{Key: run.key}, Machine: Machine{Name: run.host, Board: true}, Group: "target", Mode: run.mode,
			kernel: Prepared{Release: run.release}, dir: filepath.Join(r.work, fmt.Sprintf("run%d", i))}
		for _, name := range run.cases {
			c := r.named(name)
			if c == nil {
				g.verdicts = append(g.verdicts, g.verdict(name, "check", report.Fail, "0", "there is no such case here: another state of the repository made the archive"))
				continue
			}
			if len(r.Cases) == 0 || slices.Contains(r.Cases, c.Name) {
				g.Cases = append(g.Cases, c)
			}
		}
		if err := os.MkdirAll(g.dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(g.log(), run.text, 0o644); err != nil {
			return nil, err
		}
		g.judgeTarget(ReadConsole(run.text), end, func(name string) bool { return len(r.Cases) == 0 || slices.Contains(r.Cases, name) })
		guests = append(guests, g)
	}
	return guests, nil
}

func (r *run) named(name string) *Case {
	for _, c := range r.all {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// judgeTarget is judge for a machine that said itself what it does not run, and that has to be as it was afterwards.
func (g *Guest) judgeTarget(console Console, end string, wanted func(string) bool) {
	if said := console.complaint(); said != "" {
		end = said
	}
	skips := console.skips()
	g.judge(console.with(skips), end)
	for _, v := range skips {
		if wanted(v.Case) && !slices.ContainsFunc(g.Cases, func(c *Case) bool { return c.Name == v.Case }) {
			g.verdicts = append(g.verdicts, g.verdict(v.Case, v.Phase, report.Skip, "0", v.Text))
		}
	}
	for _, left := range console.left() {
		// A control's hang is meant; what it leaves is said, and goes with a reboot.
		outcome := report.Fail
		if g.Mode == Stock {
			outcome = report.Skip
		}
		g.verdicts = append(g.verdicts, g.verdict(g.Group, "left-"+string(g.Mode), outcome, "0", left))
	}
}

// onTarget runs the cases on a machine by ssh.
func (r *run) onTarget(ctx context.Context) ([]*Guest, error) {
	t, err := ParseTarget(r.Target)
	if err != nil {
		return nil, err
	}
	v := &visit{login: &login{Target: t}, parent: r.TargetDir, say: r.say.line, patience: time.Second, reboots: 10 * time.Minute}
	b, err := v.arrive(ctx)
	if err != nil {
		return nil, err
	}
	if err := v.notHere(ctx, ownBootID); err != nil {
		return nil, err
	}
	r.say.line("%s: %s, kernel %s", t, b.Arch, b.Release)
	modes := r.targetModes()
	tree, cases, err := r.carry(ctx, b)
	if err != nil {
		return nil, err
	}
	limit := 5 * time.Minute
	for _, c := range cases {
		limit += 2 * time.Duration(c.limit(false)) * time.Second
	}
	defer v.depart(context.WithoutCancel(ctx))
	var text bytes.Buffer
	end := ""
	for i, mode := range modes {
		if i > 0 {
			if err := v.reboot(ctx, b); err != nil {
				r.say.line("%v", err)
				r.failMode(b, cases, mode, err.Error())
				break
			}
		}
		if end, err = v.play(ctx, tree, mode, limit, &text); err != nil {
			return nil, err
		}
	}
	if !bytes.Contains(text.Bytes(), []byte("#T# 1|")) {
		said := ReadConsole(text.Bytes()).complaint()
		return nil, fmt.Errorf("%s: the cases did not begin: %s", t, strings.TrimSpace(end+" "+said))
	}
	return r.recorded(text.Bytes(), end)
}

// failMode counts what could not be run as failed.
func (r *run) failMode(b Board, cases []*Case, mode Mode, why string) {
	for _, c := range cases {
		for _, p := range c.Phases(mode) {
			r.skipped = append(r.skipped, report.Verdict{Kernel: b.key() + "@" + b.Host, Version: b.Release, Case: c.Name, Phase: p,
				Outcome: report.Fail, Seconds: "0", Text: why})
		}
	}
}
