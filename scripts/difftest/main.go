// SPDX-License-Identifier: Apache-2.0

// Command difftest runs safeload's modprobe and its applets beside real kmod
// and compares what they print and return, over real module trees.
//
// Both run in the same chroot, which holds the trees, a configuration and
// files that stand for /proc/cmdline and /sys/module, as a user without
// privileges: nothing reaches the kernel. Run by scripts/diff-test.sh.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	var peers, trees, depmodOf multi
	ours := flag.String("ours", "", "our program")
	work := flag.String("work", "", "directory for the chroots, made anew")
	memory := flag.String("memory", "", "directory for those of depmod, on a tmpfs; default -work")
	docs := flag.String("docs", "", "document that must describe each allowed difference")
	verbose := flag.Int("show", 10, "differences to print")
	only := flag.String("only", "", "run only cases whose arguments contain this")
	random := flag.Int("random", 0, "compare in so many random configurations, over random trees, too")
	seed := flag.Uint64("seed", 1, "of the random configurations")
	depmod := flag.Int("depmod", 0, "compare depmod in so many random trees, too")
	safeload := flag.String("safeload", "", "our program with depmod")
	first := flag.Int("first", 0, "number of the first random configuration")
	flag.Var(&peers, "kmod", "NAME=PATH of a kmod to compare with, a program or a directory with an unpacked system; may be repeated")
	flag.Var(&trees, "tree", "module tree (…/lib/modules/VERSION); may be repeated")
	flag.Var(&depmodOf, "depmod-tree", "module tree of which depmod's indexes are compared; may be repeated")
	flag.Parse()
	if *ours == "" || *work == "" || len(peers) == 0 || len(trees) == 0 && *random == 0 && *depmod == 0 && len(depmodOf) == 0 || *depmod+len(depmodOf) > 0 && *safeload == "" {
		flag.Usage()
		return 2
	}
	if err := checkDocs(*docs); err != nil {
		fmt.Fprintln(os.Stderr, "difftest:", err)
		return 1
	}
	total := result{allowed: map[string]int{}}
	var known ran
	for _, p := range peers {
		name, path, _ := strings.Cut(p, "=")
		r := result{allowed: map[string]int{}}
		var err error
		if len(trees) > 0 {
			r, err = runPeer(&known, name, path, *ours, filepath.Join(*work, name), *only, trees, *verbose)
		}
		if err == nil && *random > 0 {
			total.add(r)
			r, err = randomPeer(name, path, *ours, filepath.Join(*work, name), *seed, *first, *random, *verbose)
		}
		if err == nil && len(depmodOf) > 0 && release(name) > 30 {
			total.add(r)
			r, err = depmodTrees(name, path, *ours, *safeload, filepath.Join(cmp.Or(*memory, *work), "trees-"+name), depmodOf)
		}
		if err == nil && *depmod > 0 {
			total.add(r)
			r, err = depmodPeer(name, path, *ours, *safeload, filepath.Join(cmp.Or(*memory, *work), "depmod-"+name), *seed, *first, *depmod, *verbose)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "difftest:", err)
			return 1
		}
		total.add(r)
	}
	fmt.Printf("%d passed, %d failed\n", total.passed, total.failed)
	if total.failed > 0 || total.passed == 0 {
		return 1
	}
	return 0
}

type multi []string

func (m *multi) String() string     { return strings.Join(*m, " ") }
func (m *multi) Set(s string) error { *m = append(*m, s); return nil }

type result struct {
	passed, failed, names, skipped int
	allowed                        map[string]int
	questions                      questions
}

func (r *result) add(o result) {
	r.passed += o.passed
	r.failed += o.failed
	r.names += o.names
	r.questions.add(o.questions)
	for k, v := range o.allowed {
		r.allowed[k] += v
	}
}

func runPeer(known *ran, name, kmod, ours, work, only string, trees []string, show int) (result, error) {
	start := time.Now()
	roots, cases, err := prepare(kmod, ours, work, trees)
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(work)
	todo := make(chan *testCase)
	var wg sync.WaitGroup
	t := tally{result: result{allowed: map[string]int{}}, ours: known, show: show}
	for range runtime.NumCPU() {
		wg.Go(func() {
			for c := range todo {
				t.compare(name, roots[c.root], c)
			}
		})
	}
	for i, c := range cases {
		if only == "" || strings.Contains(c.String(), only) {
			todo <- c
		}
		if i%500 == 0 && isTerminal() {
			fmt.Fprintf(os.Stderr, "\r%d of %d", i, len(cases))
		}
	}
	close(todo)
	wg.Wait()
	if isTerminal() {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
	r := t.result
	fmt.Printf("kmod %s: %d runs with %d names over %d trees, %d equal, %d different, %d not in this kmod, %.0f s\n",
		name, r.passed+r.failed+r.skipped, r.names, len(trees), r.passed, r.failed, r.skipped, time.Since(start).Seconds())
	if err := r.questions.report(); err != nil && only == "" {
		return r, err
	}
	for _, a := range allowances {
		n := r.allowed[a.id]
		switch {
		case n > 0:
			fmt.Printf("  allowed %d times: %s (%s)\n", n, a.id, a.what)
		case a.of(name) && only == "":
			fmt.Printf("  STALE: %s (%s): no run has this difference any more\n", a.id, a.what)
			r.failed++
		}
	}
	return r, nil
}

// ran keeps what our program did, by case: over the same root it does the same beside each kmod.
type ran struct{ sync.Map }

type ranOnce struct {
	outcome
	faults int64
}

func (r *ran) run(root string, c *testCase) (outcome, int64) {
	key := fmt.Sprintf("%+v", *c)
	if known, ok := r.Load(key); ok {
		o := known.(ranOnce)
		return o.outcome, o.faults
	}
	got, faults := executeCounted(root, "/ours", c)
	r.Store(key, ranOnce{got, faults})
	return got, faults
}

// tally is a result that several add to.
type tally struct {
	sync.Mutex
	result
	ours    *ran
	failure error // of the comparison itself
	shown   int
	show    int // differences, at the most
}

// compare runs one case in both programs.
func (t *tally) compare(name, root string, c *testCase) {
	p := comparison{peer: name, root: root, c: c}
	p.want = execute(p.root, "/kmod", c)
	got, faults := t.ours.run(p.root, c)
	p.got = got
	p.rerun = func(more ...string) outcome {
		again := *c
		again.args = append(append(c.args[:1:1], more...), c.args[1:]...)
		return execute(p.root, "/kmod", &again)
	}
	diff, allowed := p.difference()
	t.Lock()
	defer t.Unlock()
	t.questions.count(c, got, faults)
	if diff != "" && (newer(name, c) || overflow(&p)) {
		t.names += c.names
		t.allow(allowed)
		t.skipped++
		return
	}
	t.add(c, diff, allowed, func() { fmt.Printf("--- %.400s\n%s\n", c, diff) })
}

func (t *tally) allow(ids []string) {
	for _, id := range ids {
		t.allowed[id]++
	}
}

// add counts a case, equal if diff is empty, and shows one that is not.
func (t *tally) add(c *testCase, diff string, allowed []string, print func()) {
	t.names += c.names
	t.allow(allowed)
	if diff == "" {
		t.passed++
		return
	}
	t.failed++
	if t.shown++; t.shown <= t.show {
		print()
	}
}

func isTerminal() bool {
	st, err := os.Stderr.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
