// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strings"

	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/picture"
	"safeload/internal/plain"
)

// SVG draws who waits for whom, circles first.
func SVG(w io.Writer, sv *survey.Survey) error {
	p := &picture.Picture{Heading: "No load waits for itself"}
	for _, f := range sv.Findings {
		c := picture.Circle{Heading: plain.Text(fmt.Sprintf("The load of %s %s (%s)", f.Module, f.Kind.Wait(), f.Certainty))}
		for _, h := range f.Chain {
			c.IDs = append(c.IDs, h.TID)
		}
		p.Circles = append(p.Circles, c)
	}
	switch n := len(sv.Findings) + len(sv.Dead); {
	case n == 1 && len(sv.Dead) == 0:
		p.Heading = "A load waits for itself"
	case n > 0:
		p.Heading = fmt.Sprintf("%d loads never end", n)
	case len(sv.Tasks) == 0:
		p.Heading = "Nothing is being loaded"
	}
	for i := range sv.Tasks {
		t := &sv.Tasks[i]
		n := picture.Node{ID: t.TID, Title: plain.Text(title(t))}
		for line := range strings.SplitSeq(dotLines.Replace(doing(t)), "\n") {
			n.Lines = append(n.Lines, plain.Text(line))
		}
		p.Nodes = append(p.Nodes, n)
	}
	for _, e := range sv.Edges {
		for i, to := range e.To {
			p.Edges = append(p.Edges, picture.Edge{From: e.From, To: to, Label: plain.Text(e.Why),
				Certain: e.Certainty == graph.Certain && len(e.To) == 1, Maybe: i > 0})
		}
	}
	return picture.SVG(w, p)
}
