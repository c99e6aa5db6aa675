// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"io"

	"safeload/internal/picture"
)

// maxDrawn is how many findings are drawn: more than that nobody looks at.
const maxDrawn = 200

// WriteSVG draws each finding as a circle of modules: those ranked possible only if all is true.
func WriteSVG(w io.Writer, results []*Result, all bool) error {
	p := &picture.Picture{}
	left := 0
	for _, r := range results {
		for i := range r.Findings {
			f := &r.Findings[i]
			if f.Rank >= Possible && !all || len(p.Circles) == maxDrawn {
				left++
				continue
			}
			f.draw(p)
		}
	}
	p.Heading = fmt.Sprintf("%d ways in which a load can wait for itself", len(p.Circles))
	switch len(p.Circles) {
	case 0:
		p.Heading = "No load is seen that waits for itself"
	case 1:
		p.Heading = "A load can wait for itself"
	}
	if left > 0 {
		p.Heading += fmt.Sprintf("; %d less likely or further ones are not drawn", left)
	}
	return picture.SVG(w, p)
}

// draw adds a finding to a picture: a box for each module, an arrow for what it asks for.
func (f *Finding) draw(p *picture.Picture) {
	first := len(p.Nodes)
	c := picture.Circle{Heading: fmt.Sprintf("%s (%s)", f.Title(), f.Rank)}
	if len(c.Heading) > 100 {
		c.Heading = fmt.Sprintf("the load of %s (%s)", clean(f.Module), f.Rank)
	}
	for i := range f.Hops {
		h := &f.Hops[i]
		n := picture.Node{ID: first + i, Title: clean(h.Module)}
		for j, step := range h.Route {
			if j > 0 {
				step = "→ " + step
			}
			n.Lines = append(n.Lines, clean(step))
		}
		for _, weak := range h.Weak {
			n.Lines = append(n.Lines, "unsure: "+clean(weak))
		}
		p.Nodes = append(p.Nodes, n)
		c.IDs = append(c.IDs, n.ID)
		p.Edges = append(p.Edges, picture.Edge{From: n.ID, To: first + (i+1)%len(f.Hops), Label: h.asks(f.Rank), Certain: len(h.Weak) == 0})
	}
	if w := f.Wait; w != nil { // the load that waits, and for what
		n := picture.Node{ID: first + len(f.Hops), Title: clean(w.Module), Lines: []string{"its load"}}
		for _, step := range w.Route {
			n.Lines = append(n.Lines, "→ "+clean(step))
		}
		p.Nodes = append(p.Nodes, n)
		c.IDs = append(c.IDs, n.ID)
		p.Edges[len(p.Edges)-1].To = n.ID
		p.Edges = append(p.Edges, picture.Edge{From: n.ID, To: first, Label: "waits for " + clean(w.On), Certain: len(f.Hops[0].Weak) == 0})
	}
	p.Circles = append(p.Circles, c)
}

// asks says what a module asks for, and what that is.
func (h *Hop) asks(rank Rank) string {
	s := "requests " + clean(h.Request)
	if rank == ParameterDriven {
		return s
	}
	if h.Match != h.Request {
		s += ", which is " + clean(h.Match)
	}
	if h.Loads != h.Match {
		s += " and needs " + clean(h.Loads)
	}
	return s
}
