// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"safeload/audit"
	"safeload/internal/plain"
	"safeload/internal/proc"
	"safeload/internal/terminal"
	"safeload/internal/version"
	"safeload/kmod"
)

type auditOptions struct {
	configs       []string
	root, release string
	json, sarif   bool
	html, svg     bool
	baseline      string
	failOn        string
	all           bool
	trees         []string
}

// auditRanks are the values of --fail-on.
var auditRanks = map[string]audit.Rank{
	"certain": audit.Certain, "likely": audit.Likely, "possible": audit.Possible,
}

func runAudit(args []string, stdout, stderr io.Writer) int {
	var o auditOptions
	fl := flag.NewFlagSet("audit", flag.ContinueOnError)
	config := func(s string) error { o.configs = append(o.configs, s); return nil }
	fl.Func("C", "read this directory or file in place of modprobe.d; may be given several times", config)
	fl.Func("config", "same as -C", config)
	fl.StringVar(&o.root, "d", "", "the root `directory` in which lib/modules is")
	fl.StringVar(&o.root, "dirname", "", "same as -d")
	fl.StringVar(&o.release, "S", "", "the kernel's `release`, in place of the running one's")
	fl.StringVar(&o.release, "set-version", "", "same as -S")
	fl.BoolVar(&o.json, "json", false, "write one JSON object a line")
	fl.BoolVar(&o.sarif, "sarif", false, "write SARIF 2.1.0")
	fl.BoolVar(&o.html, "html", false, "write one HTML file")
	fl.BoolVar(&o.svg, "svg", false, "a picture")
	fl.StringVar(&o.baseline, "baseline", "", "fail only on findings that this `file`, written with --json, does not have")
	fl.StringVar(&o.failOn, "fail-on", "likely", "the least `rank` that makes the exit code 3: certain, likely or possible")
	fl.BoolVar(&o.all, "a", false, "show also the routes of possible findings")
	if code, done := parse(fl, args, stdout, stderr); done {
		return code
	}
	o.trees = fl.Args()
	threshold, ok := auditRanks[o.failOn]
	switch {
	case !ok:
		return misused("audit", stderr, "--fail-on %q: certain, likely or possible", o.failOn)
	case several(o.json, o.sarif, o.html, o.svg):
		return misused("audit", stderr, "one of --json, --sarif, --html and --svg")
	case len(o.trees) > 0 && (o.root != "" || o.release != ""):
		return misused("audit", stderr, "-d and -S name a tree, and %s is one already", o.trees[0])
	}
	code, err := o.run(threshold, stdout, stderr)
	if err != nil {
		plain.Fprintf(stderr, "safeload: audit: %v\n", err)
	}
	return code
}

// several tells whether more than one is true.
func several(these ...bool) bool {
	n := 0
	for _, t := range these {
		if t {
			n++
		}
	}
	return n > 1
}

func (o *auditOptions) run(threshold audit.Rank, stdout, stderr io.Writer) (int, error) {
	known, err := o.knownFindings()
	if err != nil {
		return exitError, err
	}
	for _, c := range o.configs {
		if _, err := os.Stat(c); err != nil {
			return exitError, fmt.Errorf("read the configuration: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	trees, own, err := o.treesToAudit()
	if err != nil {
		return exitError, err
	}
	code := exitOK
	var results []*audit.Result
	for _, tree := range trees {
		r, err := o.auditTree(ctx, tree, own, stderr)
		if err != nil {
			return exitError, err
		}
		for _, f := range r.Findings {
			if f.Rank <= threshold && !known[f.ID()] {
				code = exitFound
			}
		}
		results = append(results, r)
	}
	if err := o.write(stdout, results, func(id string) bool { return known[id] }); err != nil {
		return exitError, fmt.Errorf("write the report: %w", err)
	}
	return code, nil
}

// knownFindings reads the findings of the baseline, by their IDs.
func (o *auditOptions) knownFindings() (map[string]bool, error) {
	if o.baseline == "" {
		return nil, nil
	}
	f, err := os.Open(o.baseline)
	if err != nil {
		return nil, fmt.Errorf("read the baseline: %w", err)
	}
	defer f.Close()
	known, err := audit.ReadBaseline(f)
	if err != nil {
		return nil, fmt.Errorf("read the baseline %s: %w", o.baseline, err)
	}
	return known, nil
}

// treesToAudit returns the trees that were named, or the running kernel's. own: it is
// this system's, for which its configuration counts.
func (o *auditOptions) treesToAudit() (trees []string, own bool, err error) {
	if len(o.trees) > 0 {
		return o.trees, false, nil
	}
	release := o.release
	if release == "" {
		if release, err = proc.Release(); err != nil {
			return nil, false, fmt.Errorf("uname, for the running kernel's release: %w", err)
		}
	}
	return []string{filepath.Join("/", o.root, "lib/modules", release)}, o.root == "" && o.release == "", nil
}

// auditTree audits one tree, and prints to stderr what the report has no place for.
func (o *auditOptions) auditTree(ctx context.Context, tree string, own bool, stderr io.Writer) (*audit.Result, error) {
	progress, done := auditProgress(stderr, tree)
	r, err := audit.Run(ctx, audit.Options{Dir: tree, Config: o.config(tree, own), Progress: progress})
	done()
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, audit.ErrNoModules):
		return nil, fmt.Errorf("%w; a TREE is a folder such as /lib/modules/$(uname -r)", err)
	case err != nil:
		return nil, fmt.Errorf("audit %s: %w", tree, err)
	}
	if len(r.Failed) == r.Modules {
		return nil, fmt.Errorf("no module of %s could be read, the first because: %w", tree, r.Failed[0])
	}
	if r.Foreign > 0 {
		plain.Fprintf(stderr, "safeload: audit: %d of the %d modules of %s are not for %s; a TREE is one kernel's, such as /lib/modules/$(uname -r)\n",
			r.Foreign, r.Modules, tree, r.Release)
	}
	if o.sarif || o.svg { // readers of these formats do not show it
		for _, err := range r.Failed {
			plain.Fprintf(stderr, "safeload: audit: %s\n", err)
		}
	}
	return r, nil
}

func (o *auditOptions) write(stdout io.Writer, results []*audit.Result, known func(id string) bool) error {
	switch {
	case o.sarif:
		return audit.WriteSARIF(stdout, version.Version, results, known)
	case o.html:
		return audit.WriteHTML(stdout, version.Version, results, known)
	case o.svg:
		return audit.WriteSVG(stdout, results, o.all)
	}
	for _, r := range results {
		var err error
		if o.json {
			err = audit.WriteJSON(stdout, r, known)
		} else {
			err = audit.WriteText(stdout, r, o.all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// config reads modprobe.d: the directories and files given, else, for this system's
// own tree, its own. This kernel's command line counts for that tree alone.
func (o *auditOptions) config(tree string, own bool) *kmod.Config {
	options := kmod.Options{Dir: tree, ConfigPaths: o.configs, Regular: true}
	if !own {
		options.Cmdline = os.DevNull
		if options.ConfigPaths == nil {
			options.ConfigPaths = []string{}
		}
	}
	return kmod.New(options).Config
}

// auditProgress counts the modules on a terminal.
func auditProgress(stderr io.Writer, tree string) (progress func(done, total int), done func()) {
	if !terminal.Is(stderr) {
		return nil, func() {}
	}
	var last time.Time
	shown := false
	return func(n, total int) {
			if now := time.Now(); now.Sub(last) > 100*time.Millisecond {
				last, shown = now, true
				plain.Fprintf(stderr, "\r%s: %d of %d modules ", filepath.Base(tree), n, total)
			}
		}, func() {
			if shown {
				plain.Fprintf(stderr, "\r%s\r", strings.Repeat(" ", len(plain.Text(filepath.Base(tree)))+40))
			}
		}
}
