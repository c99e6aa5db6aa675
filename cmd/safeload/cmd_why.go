// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"safeload/internal/plain"
	"safeload/kmod"
	"safeload/timeline"
)

func runWhy(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("why", flag.ContinueOnError)
	from := flags.String("record", "", "read who asked from this `file`, which watch --record has written")
	if code, done := parse(flags, args, stdout, stderr); done {
		return code
	}
	if flags.NArg() != 1 {
		return misused("why", stderr, "it takes one module")
	}
	name := kmod.NormalizeName(flags.Arg(0))
	code := exitOK
	if h, err := openHistory(*from); err != nil {
		plain.Fprintf(stdout, "who asked is not known: %v\n", err)
		if *from != "" {
			code = exitError
		}
	} else {
		err = whoAsked(stdout, h, name)
		h.close()
		if err != nil {
			plain.Fprintf(stderr, "safeload: why: %v\n", err)
			code = exitError
		}
	}
	modules, err := os.ReadFile("/proc/modules")
	if err != nil {
		plain.Fprintf(stderr, "safeload: why: what holds it is not known: %v\n", err)
		return exitError
	}
	whatHolds(stdout, parseModules(string(modules)), name)
	return code
}

// whoAsked prints the first hundred requests for and loads of a module that a record or the probe's ring has.
func whoAsked(w io.Writer, h *history, name string) error {
	f := timeline.Filter{Module: name}
	n, from := 0, ""
	err := h.tell(thisMoment(), &teller{
		entry: func(t *timeline.Timeline, e timeline.Entry) {
			if from == "" && t.Start.Source != "probe" {
				from = plain.Sprintf("the record begins at %s", t.When(t.Start.Boot).UTC().Format("2006-01-02T15:04:05Z"))
			}
			if !f.Wants(t, e) {
				return
			}
			if n++; n == 1 {
				plain.Fprintf(w, "requests and loads, each with the time of its end; %s:\n", from)
			}
			h.why.explain(t, e)
			if n <= 100 {
				fmt.Fprintf(w, "  %s\n", e.Text(t))
			}
		},
		notice: func(note *notice) {
			if note.Type == "lost" {
				plain.Fprintf(w, "%s\n", note.words())
				return
			}
			from = note.words()
		},
	})
	switch {
	case n > 100:
		plain.Fprintf(w, "  and %d more: safeload log --module %s\n", n-100, name)
	case n == 0 && err == nil && h.record == nil:
		plain.Fprintf(w, "nobody asked for it, as far as is known %s\n", from)
	case n == 0 && err == nil:
		fmt.Fprintln(w, "nobody asked for it while the record was written")
	}
	return err
}

// module is a line of /proc/modules.
type module struct {
	name      string
	count     int      // of users, those of by included
	by        []string // modules that need it
	state     string
	uncounted bool // users are not counted: the kernel removes no modules (CONFIG_MODULE_UNLOAD)
	permanent bool // it has an init, and no exit
}

func parseModules(text string) map[string]*module {
	all := make(map[string]*module)
	for line := range strings.SplitSeq(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		m := &module{name: f[0], state: f[4], uncounted: f[2] == "-"}
		m.count, _ = strconv.Atoi(f[2])
		for by := range strings.SplitSeq(f[3], ",") {
			if by == "[permanent]" {
				m.permanent = true
			} else if by != "" && by != "-" {
				m.by = append(m.by, by)
			}
		}
		all[m.name] = m
	}
	return all
}

// whatHolds prints what keeps a module loaded, and what modprobe -r would remove with it.
func whatHolds(w io.Writer, all map[string]*module, name string) {
	m := all[name]
	if m == nil {
		plain.Fprintf(w, "%s is not loaded\n", name)
		return
	}
	plain.Fprintf(w, "%s is %s\n", name, strings.ToLower(m.state))
	if m.uncounted {
		fmt.Fprintln(w, "what holds it is not known: this kernel removes no modules (CONFIG_MODULE_UNLOAD)")
		return
	}
	if len(m.by) > 0 {
		plain.Fprintf(w, "held by modules that need it: %s\n", strings.Join(m.by, ", "))
	}
	others := m.count - len(m.by)
	if m.state == "Loading" { // load_module holds it
		others--
	}
	if others > 0 {
		plain.Fprintf(w, "held by %d others: open files, mounts, sockets, devices; which is not known\n", others)
	}
	switch {
	case m.permanent:
		fmt.Fprintln(w, "permanent: it has no exit function, and only force removes it")
		return
	case m.count == 0:
		fmt.Fprintln(w, "held by nobody")
	}
	if gone := goesWith(all, name); len(gone) > 0 {
		plain.Fprintf(w, "with it modprobe -r would take what nobody else holds: %s\n", strings.Join(gone, ", "))
	}
}

// goesWith returns the modules that this one needs and that nobody else holds.
func goesWith(all map[string]*module, name string) (gone []string) {
	gone = []string{name}
	for again := true; again; {
		again = false
		for _, m := range all {
			if slices.Contains(gone, m.name) || len(m.by) == 0 || m.count > len(m.by) || m.permanent {
				continue
			}
			if !slices.ContainsFunc(m.by, func(by string) bool { return !slices.Contains(gone, by) }) {
				gone = append(gone, m.name)
				again = true
			}
		}
	}
	gone = gone[1:]
	slices.Sort(gone)
	return gone
}
