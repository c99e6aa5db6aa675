// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"safeload/internal/rig/report"
)

// mostAgain is how many guests are run a second time. Where more fail it is not the machine.
const mostAgain = 8

// A pair is the two guests of one group, whose notes are compared.
type pair struct{ stock, safe *Guest }

func pairs(guests []*Guest) []pair {
	var all []pair
	for _, stock := range guests {
		for _, safe := range guests {
			if stock.Mode == Stock && safe.Mode == Safe && stock.label() == safe.label() && stock.Group == safe.Group {
				all = append(all, pair{stock, safe})
			}
		}
	}
	return all
}

func failures(verdicts []report.Verdict) []report.Verdict {
	return slices.DeleteFunc(slices.Clone(verdicts), func(v report.Verdict) bool { return v.Outcome != report.Fail })
}

// tryAgain runs once more, alone, what failed in a run of the whole matrix: on a shared machine limits of time are
// missed that the same guest keeps with the machine for itself. It is booted anew: what has gone wrong by where things lie
// in memory goes wrong again in the same saved guest. Two guests whose notes differ are run again both. What passes then is
// reported with the first failure, and the first log is kept.
func (r *run) tryAgain(ctx context.Context, guests []*Guest) {
	if len(r.Cases) > 0 || r.Quick {
		return
	}
	var failed []*Guest
	for _, g := range guests {
		if len(failures(g.verdicts)) > 0 && g.kernel.Image != "" {
			failed = append(failed, g)
		}
	}
	differ := map[pair][]report.Verdict{}
	for _, p := range pairs(guests) {
		// A guest that failed may have said less for that.
		if slices.Contains(failed, p.stock) || slices.Contains(failed, p.safe) {
			continue
		}
		if d := failures(compare(p.stock, p.safe)); len(d) > 0 {
			differ[p] = d
			failed = append(failed, p.stock, p.safe)
		}
	}
	if len(failed) > mostAgain {
		r.say.line("%d guests failed: too many to run them again", len(failed))
		return
	}
	for _, g := range failed {
		if ctx.Err() != nil {
			return
		}
		r.secondTry(ctx, g)
	}
	for p, first := range differ {
		if len(failures(compare(p.stock, p.safe))) == 0 {
			r.first = append(r.first, first...)
		}
	}
}

// secondTry puts what the second try gave in the place of the first, if nothing failed in it.
func (r *run) secondTry(ctx context.Context, g *Guest) {
	second := *g
	second.verdicts, second.dir, second.again, second.fills = nil, g.dir+"-again", true, false
	r.guest(ctx, &second)
	r.say.ended(&second)
	if len(failures(second.verdicts)) > 0 {
		if len(failures(g.verdicts)) == 0 { // run again for its notes alone: that it failed counts
			*g = second
		}
		return // else the first log is the one to read
	}
	first := r.keepFirst(g)
	for _, v := range failures(g.verdicts) {
		r.say.line("%s: failed first, and passed when it was run again: %s %s: %s (%s)", g.name(), v.Case, v.Phase, v.Text, first)
		r.first = append(r.first, v)
	}
	*g = second
}

// keepFirst keeps the log of a first try beyond the run, and says where it is: the second one's takes its place in the report.
func (r *run) keepFirst(g *Guest) string {
	dir := r.failedLogs()
	kept := filepath.Join(dir, g.name()+"-first.log")
	text, err := os.ReadFile(g.log())
	if err = errors.Join(err, os.MkdirAll(dir, 0o755)); err == nil {
		err = os.WriteFile(kept, text, 0o644)
	}
	if err != nil {
		return "its log could not be kept: " + err.Error()
	}
	return kept
}

// markSecond writes into the verdicts that passed at the second try by what the first one failed. A failure that has no such
// verdict, as that a guest did not end, becomes one.
func (r *run) markSecond(verdicts []report.Verdict) []report.Verdict {
	for _, f := range r.first {
		key, _, _ := strings.Cut(f.Text, ":")
		marked := false
		for i := range verdicts {
			v := &verdicts[i]
			if v.Kernel == f.Kernel && v.Case == f.Case && v.Phase == f.Phase && v.Outcome == report.Pass &&
				(f.Phase != "compare" || strings.HasPrefix(v.Text, key+":")) {
				v.First, marked = f.Text, true
			}
		}
		if !marked {
			f.Outcome, f.First, f.Text = report.Pass, f.Text, "only at the second try"
			verdicts = append(verdicts, f)
		}
	}
	return verdicts
}
