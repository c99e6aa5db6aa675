// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strings"

	"safeload/guard/survey"
	"safeload/internal/plain"
)

// Dot writes a graph: tasks are boxes, waits are arrows, dashed when only
// likely, red on a circle; gray and dotted is what a wait could be for as well.
func Dot(w io.Writer, sv *survey.Survey) {
	red := make(map[[2]int]bool)
	circle := make(map[int]bool)
	for _, f := range sv.Findings {
		for i, h := range f.Chain {
			red[[2]int{h.TID, f.Chain[(i+1)%len(f.Chain)].TID}] = true
			circle[h.TID] = true
		}
	}
	fmt.Fprint(w, "digraph waits {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n  edge [fontname=\"sans-serif\", fontsize=9];\n"+
		"  labelloc=t; fontname=\"sans-serif\"; fontsize=11;\n")
	heading := "no load waits for itself"
	for i, f := range sv.Findings {
		if i == 0 {
			heading = ""
		}
		heading += fmt.Sprintf("the load of %s %s (%s)\n", printable(f.Module), f.Kind.Wait(), f.Certainty)
	}
	plain.Fprintf(w, "  label=%s;\n", dotString(heading))
	for i := range sv.Tasks {
		t := &sv.Tasks[i]
		color := ""
		if circle[t.TID] {
			color = ", color=red, penwidth=2"
		}
		plain.Fprintf(w, "  t%d [label=%s%s];\n", t.TID, dotString(title(t)+"\n"+dotLines.Replace(doing(t))), color)
	}
	for _, e := range sv.Edges {
		for i, to := range e.To {
			if i > 0 && !red[[2]int{e.From, to}] {
				plain.Fprintf(w, "  t%d -> t%d [style=dotted, color=gray, constraint=false];\n", e.From, to)
				continue
			}
			style := "solid"
			if e.Certainty.String() != "certain" || len(e.To) > 1 {
				style = "dashed"
			}
			color := "black"
			if red[[2]int{e.From, to}] {
				color = "red"
			}
			plain.Fprintf(w, "  t%d -> t%d [label=%s, style=%s, color=%s];\n", e.From, to, dotString(e.Why), style, color)
		}
	}
	fmt.Fprint(w, "}\n")
}

// dotLines keeps boxes narrow.
var dotLines = strings.NewReplacer("; ", "\n", ", asked", "\nasked")

func dotString(s string) string {
	b := []byte{'"'}
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < ' ':
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
