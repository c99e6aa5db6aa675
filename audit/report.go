// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"safeload/internal/plain"
)

// Schema is the version of the JSON lines.
const Schema = 1

// ID names a finding for a baseline. It depends on the modules and requests of
// the ring and not on versions, ranks or routes, so that it stays the same from
// one build to the next.
func (f *Finding) ID() string {
	var parts []string
	for _, h := range f.Hops {
		parts = append(parts, h.Module+" "+h.Request)
	}
	if f.Command != "" {
		parts = append(parts, f.Command)
	}
	if f.Wait != nil {
		parts = append(parts, f.Wait.Kind+" "+f.Wait.On)
	}
	sort.Strings(parts)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n") + "\n" + f.Parameter))
	return hex.EncodeToString(sum[:8])
}

// clean makes text of a module's file fit for a terminal and a line.
func clean(s string) string { return plain.Text(s) }

// Title says in one line what was found.
func (f *Finding) Title() string { return clean(f.title()) }

func (f *Finding) title() string {
	h := f.Hops[0]
	if f.Command != "" {
		var b strings.Builder
		plain.Fprintf(&b, "the %s command of %s leads back to itself: ", f.Command, f.Module)
		for i, h := range f.Hops {
			if i == 8 {
				plain.Fprintf(&b, "%d more -> ", len(f.Hops)-i)
				break
			}
			plain.Fprintf(&b, "%s runs modprobe for %s -> ", h.Module, h.Request)
		}
		return b.String() + f.Module
	}
	if f.Wait != nil {
		return f.Wait.title(&h)
	}
	if f.Rank == ParameterDriven {
		return fmt.Sprintf("%s requests what its parameter %s says (%s)", f.Module, f.Parameter, h.Request)
	}
	if len(f.Hops) == 1 {
		if h.Match == f.Module {
			return fmt.Sprintf("%s requests %s, which is itself", f.Module, h.Request)
		}
		return fmt.Sprintf("%s requests %s, which is %s and needs it", f.Module, h.Request, h.Match)
	}
	var b strings.Builder
	b.WriteString("ring: ")
	for _, h := range f.Hops {
		plain.Fprintf(&b, "%s requests %s -> ", h.Module, h.Request)
	}
	b.WriteString(f.Hops[0].Module)
	return b.String()
}

// WriteText writes the findings for people: those ranked possible in one line
// each unless all is true.
func WriteText(w io.Writer, r *Result, all bool) error {
	b := bufio.NewWriter(w)
	plain.Fprintf(b, "%s: %d modules", r.Dir, r.Modules)
	if r.Release != "" {
		plain.Fprintf(b, " for %s", clean(r.Release))
	}
	fmt.Fprintln(b)
	var count [ParameterDriven + 1]int
	last := Rank(-1)
	for i := range r.Findings {
		f := &r.Findings[i]
		count[f.Rank]++
		if f.Rank != last {
			plain.Fprintf(b, "\n%s\n", strings.ToUpper(f.Rank.String()))
			last = f.Rank
		}
		plain.Fprintf(b, "  %s\n", f.Title())
		if f.Rank >= Possible && !all {
			continue
		}
		for _, h := range f.Hops {
			writeHop(b, h, f.Rank)
		}
		if f.Wait != nil {
			f.Wait.write(b)
		}
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(b, "no module was found that can request itself while it loads, or what waits for it")
	}
	plain.Fprintf(b, "\n%d certain, %d likely, %d possible, %d by parameter; of %d requests that some init reaches no part of the name is known\n",
		count[Certain], count[Likely], count[Possible], count[ParameterDriven], r.Opaque)
	for _, e := range r.Failed {
		if m := (*ModuleError)(nil); errors.As(e, &m) && !errors.Is(e, ErrTooLarge) {
			b.WriteString("not read: ")
		}
		fmt.Fprintln(b, clean(e.Error()))
	}
	return b.Flush()
}

func writeHop(b *bufio.Writer, h Hop, rank Rank) {
	for i, r := range h.Route {
		if i == 0 {
			plain.Fprintf(b, "    route    %s\n", clean(r))
		} else {
			plain.Fprintf(b, "          -> %s\n", clean(r))
		}
	}
	if rank != ParameterDriven {
		plain.Fprintf(b, "    requests %s, which stands for %s by %s\n", clean(h.Request), clean(h.Match), clean(h.Why))
		if h.Loads != h.Match {
			plain.Fprintf(b, "             and with it %s has to be loaded\n", clean(h.Loads))
		}
	}
	if h.While != "" {
		plain.Fprintf(b, "    while    %s\n", clean(h.While))
	}
	for _, w := range h.Weak {
		plain.Fprintf(b, "    unsure   %s\n", w)
	}
}

type jsonFinding struct {
	Schema int    `json:"schema"`
	Type   string `json:"type"`
	Tree   string `json:"tree"`
	ID     string `json:"id"`
	Rank   string `json:"rank"`
	Title  string `json:"title"`
	New    bool   `json:"new"`
	Finding
}

type jsonSummary struct {
	Schema  int      `json:"schema"`
	Type    string   `json:"type"`
	Tree    string   `json:"tree"`
	Release string   `json:"release"`
	Modules int      `json:"modules"`
	Opaque  int      `json:"unknown_requests"`
	Failed  []string `json:"failed,omitempty"`
}

// WriteJSON writes one object a line: each finding, then a summary. known tells
// which findings a baseline has.
func WriteJSON(w io.Writer, r *Result, known func(id string) bool) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, f := range r.Findings {
		id := f.ID()
		if err := e.Encode(jsonFinding{Schema, "finding", r.Dir, id, f.Rank.String(), f.Title(), !known(id), f}); err != nil {
			return err
		}
	}
	s := jsonSummary{Schema: Schema, Type: "summary", Tree: r.Dir, Release: r.Release, Modules: r.Modules, Opaque: r.Opaque}
	for _, err := range r.Failed {
		s.Failed = append(s.Failed, err.Error())
	}
	return e.Encode(s)
}

// ReadBaseline takes the identities of known findings out of what WriteJSON
// wrote. Lines of other kinds are passed over. What does not end with a summary
// is no whole baseline: an audit that failed, or a disk that was full.
func ReadBaseline(r io.Reader) (map[string]bool, error) {
	known := map[string]bool{}
	whole := false
	d := json.NewDecoder(r)
	for n := 1; ; n++ {
		var l struct {
			Schema int    `json:"schema"`
			Type   string `json:"type"`
			ID     string `json:"id"`
		}
		if err := d.Decode(&l); err == io.EOF && !whole {
			return nil, errors.New("it does not end with a summary: write it anew with --json")
		} else if err == io.EOF {
			return known, nil
		} else if err != nil {
			return nil, fmt.Errorf("object %d: %w", n, err)
		}
		if l.Schema != Schema {
			return nil, fmt.Errorf("object %d: schema %d, this program knows %d", n, l.Schema, Schema)
		}
		whole = l.Type == "summary"
		if l.Type == "finding" && l.ID != "" {
			known[l.ID] = true
		}
	}
}
