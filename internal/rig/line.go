// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"safeload/internal/rig/report"
)

// A line is the guests that wait for somebody to run them. It grows while kernels are prepared.
type line struct {
	mu     sync.Mutex
	more   sync.Cond
	guests []*Guest
	closed bool
}

func newLine() *line {
	l := &line{}
	l.more.L = &l.mu
	return l
}

// add lets guests wait, which come in the order of plan: before tells it.
func (l *line) add(guests []*Guest, before func(a, b *Guest) int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guests = append(l.guests, guests...)
	slices.SortStableFunc(l.guests, before)
	l.more.Broadcast()
}

// close: no guest will be added.
func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.more.Broadcast()
}

// next waits for a guest and takes it, or says that all are taken.
func (l *line) next() (*Guest, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.guests) == 0 && !l.closed {
		l.more.Wait()
	}
	if len(l.guests) == 0 {
		return nil, false
	}
	g := l.guests[0]
	l.guests = l.guests[1:]
	return g, true
}

// runAll runs the guests, and gives those that had a kernel: while some run, the kernels of others are prepared and their
// images made. As many run at once as there are slots of their kind. It is an error if no kernel could be prepared.
func (r *run) runAll(ctx context.Context, guests []*Guest) ([]*Guest, error) {
	place := map[*Guest]int{}
	for i, g := range guests {
		place[g] = i
	}
	lines := map[string]*line{computing: newLine(), idling: newLine(), filling: newLine()}
	var all sync.WaitGroup
	for kind, workers := range map[string]int{computing: runtime.NumCPU() + 1, idling: runtime.NumCPU(), filling: runtime.NumCPU() + 1} {
		for range workers {
			all.Go(func() { r.runLine(ctx, lines[kind]) })
		}
	}
	var errs []error
	without := map[string]bool{} // kernels that there are not
	for _, k := range r.kernels {
		var its []*Guest
		for _, g := range guests {
			if g.Kernel.Key == k.Key {
				its = append(its, g)
			}
		}
		there, err := r.prepare(ctx, k, its)
		if err != nil {
			errs = append(errs, err)
		}
		if !there {
			without[k.Key] = true
			r.say.without(its)
			continue
		}
		if err != nil {
			for _, g := range its {
				g.failAll(err.Error())
				r.say.ended(g)
			}
			continue
		}
		for kind, l := range lines {
			l.add(slices.DeleteFunc(slices.Clone(its), func(g *Guest) bool { return g.slot() != kind }),
				func(a, b *Guest) int { return place[a] - place[b] })
		}
	}
	for _, l := range lines {
		l.close()
	}
	all.Wait()
	if len(errs) > 0 && len(errs) == len(r.kernels) {
		return nil, errors.Join(errs...)
	}
	ran := slices.DeleteFunc(guests, func(g *Guest) bool { return without[g.Kernel.Key] })
	r.tryAgain(ctx, ran)
	return ran, nil
}

// prepare makes a kernel ready and gives it to its guests. One that this machine's mirrors do not have is skipped, and
// counted so.
func (r *run) prepare(ctx context.Context, k Kernel, guests []*Guest) (there bool, err error) {
	if len(guests) == 0 {
		return false, nil
	}
	if k.Suite != "" && r.Series != k.Series && r.Image == "" {
		if offered, err := r.kitchen.offered(ctx, k); err != nil {
			return true, err // and its guests have failed
		} else if !offered {
			r.skipped = append(r.skipped, report.Verdict{Kernel: k.Key, Case: "*", Phase: "kernel", Outcome: report.Skip, Seconds: "0",
				Text: fmt.Sprintf("the mirrors of this machine's apt sources do not give %s's kernel for %s", k.Suite, k.DebArch)})
			return false, nil
		}
	}
	prepared, err := r.kitchen.prepare(ctx, k)
	for _, g := range guests {
		g.kernel = prepared
	}
	return true, err
}

// runLine runs guests one after the other until there are none.
func (r *run) runLine(ctx context.Context, l *line) {
	for {
		g, ok := l.next()
		if !ok {
			return
		}
		if ctx.Err() != nil {
			g.failAll("the run was ended")
			continue
		}
		r.guest(ctx, g)
		r.say.ended(g)
	}
}
