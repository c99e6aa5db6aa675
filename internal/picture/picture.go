// SPDX-License-Identifier: Apache-2.0

// Package picture draws who waits for whom as one SVG, by itself: no program, font or network is needed to make it or to
// look at it. Circles of waits come first, each as a column that the last arrow leads back up; whoever only waits stands
// beside. It knows nothing of loads: titles, lines and labels are its caller's.
package picture

import (
	"fmt"
	"io"
	"strings"
)

// A Node is a task.
type Node struct {
	ID    int
	Title string
	Lines []string // what it does
}

// An Edge is a wait: From goes on when To has ended.
type Edge struct {
	From, To int
	Label    string
	Certain  bool // else likely: drawn with dashes, and said
	// Maybe marks one of several of which any would do: thin and dotted.
	Maybe bool
}

// A Circle is nodes in the order of their waits; the last waits for the first.
type Circle struct {
	Heading string
	IDs     []int
}

// A Picture is what is drawn.
type Picture struct {
	Heading string
	// ID makes it a part of a page that has [Style] already and other pictures beside it: what it names begins with ID.
	ID string
	// Alone is the heading over those that are in no circle.
	Alone   string
	Circles []Circle
	Nodes   []Node
	Edges   []Edge
}

// Sizes in px. Text is set in a monospaced font, so that what fits is known without asking a browser: no such font that is
// in use has characters wider than em, at 13 px.
const (
	fontSize   = 13
	em         = 8.0
	lineHeight = 18
	pad        = 12
	margin     = 24
	gap        = 58 // between two boxes of a column, for an arrow and its label
	lane       = 14 // between two arrows side by side
	wrapAt     = 46 // characters of a line
	boxWidth   = wrapAt*em + 2*pad
	labelWidth = 18 * em
)

// box is a node with its place.
type box struct {
	*Node
	lines   []string
	circle  bool
	x, y, h float64
}

func (b *box) middle() float64 { return b.y + b.h/2 }
func (b *box) right() float64  { return b.x + boxWidth }
func (b *box) bottom() float64 { return b.y + b.h }

// SVG writes the picture. Text is made safe for XML; what it says is the caller's to make plain.
func SVG(w io.Writer, p *Picture) error {
	d := &drawing{p: p, boxes: make(map[int]*box), drawn: make(map[[2]int]bool), from: make(map[int][]*Edge)}
	for i := range p.Edges {
		d.from[p.Edges[i].From] = append(d.from[p.Edges[i].From], &p.Edges[i])
	}
	d.place()
	d.out.Grow(1 << 14)
	d.draw()
	_, err := io.WriteString(w, d.out.String())
	return err
}

// drawing is one picture in work.
type drawing struct {
	p             *Picture
	out           strings.Builder
	boxes         map[int]*box
	order         []*box
	headings      []heading
	drawn         map[[2]int]bool // edges that are part of a circle
	from          map[int][]*Edge
	width, height float64
	lanes         int
}

type heading struct {
	text string
	y    float64
}

// label is what is said of an edge.
func (e *Edge) label() string {
	switch {
	case e.Maybe:
		return e.Label + " (or another)"
	case !e.Certain:
		return e.Label + " (likely)"
	}
	return e.Label
}

// edge finds the wait of from for to.
func (p *Picture) edge(from, to int) *Edge {
	for i := range p.Edges {
		if e := &p.Edges[i]; e.From == from && e.To == to {
			return e
		}
	}
	return nil
}

// place gives every node its box: circles one below the other, each with those beside it that lead to it and to none
// before; then the others.
func (d *drawing) place() {
	nodes := make(map[int]*Node)
	for i := range d.p.Nodes {
		nodes[d.p.Nodes[i].ID] = &d.p.Nodes[i]
	}
	y := float64(margin + lineHeight)
	for i := range d.p.Circles {
		c := &d.p.Circles[i]
		y += pad
		d.headings = append(d.headings, heading{c.Heading, y})
		y += lineHeight + pad
		top := y
		for at, id := range c.IDs {
			d.drawn[[2]int{id, c.IDs[(at+1)%len(c.IDs)]}] = true
			if nodes[id] == nil || d.boxes[id] != nil {
				continue
			}
			b := d.add(nodes[id], true, margin, y)
			y = b.bottom() + gap
		}
		y += pad - gap
		beside := top
		for _, id := range d.waitersOf(c.IDs) {
			if nodes[id] != nil && d.boxes[id] == nil {
				b := d.add(nodes[id], false, margin+boxWidth+2*pad+labelWidth+6*lane, beside)
				beside = b.bottom() + pad
			}
		}
		y = max(y, beside+pad)
	}
	rest := false
	for i := range d.p.Nodes {
		n := &d.p.Nodes[i]
		if d.boxes[n.ID] != nil {
			continue
		}
		if !rest {
			rest = true
			text := "Nobody here waits for himself"
			switch {
			case d.p.Alone != "":
				text = d.p.Alone
			case len(d.p.Circles) > 0:
				text = "Beside that"
			}
			d.headings = append(d.headings, heading{text, y})
			y += lineHeight + pad
		}
		b := d.add(n, false, margin, y)
		y = b.bottom() + pad
	}
	for _, b := range d.order {
		beside := 0.0 // arrows and a label on its right
		if b.x == margin {
			beside = 6*lane + labelWidth
		}
		d.width = max(d.width, b.right()+beside+margin)
		d.height = max(d.height, b.bottom()+margin)
	}
	d.height = max(d.height, y)
}

// waitersOf are the nodes that lead to any of ids, the nearest first.
func (d *drawing) waitersOf(ids []int) []int {
	reached := make(map[int]bool)
	for _, id := range ids {
		reached[id] = true
	}
	var found []int
	for again := true; again; {
		again = false
		for i := range d.p.Edges {
			e := &d.p.Edges[i]
			if reached[e.To] && !reached[e.From] && !e.Maybe {
				reached[e.From], again = true, true
				found = append(found, e.From)
			}
		}
	}
	return found
}

// add makes a box. What a node waits for outside of circles is said in it, because arrows that cross leave no room.
func (d *drawing) add(n *Node, circle bool, x, y float64) *box {
	b := &box{Node: n, circle: circle, x: x, y: y}
	for _, l := range n.Lines {
		b.lines = append(b.lines, wrap(l, wrapAt)...)
	}
	for _, e := range d.from[n.ID] {
		if !d.drawn[[2]int{e.From, e.To}] {
			b.lines = append(b.lines, wrap(fmt.Sprintf("%s: %d", e.label(), e.To), wrapAt)...)
		}
	}
	b.h = float64(len(wrap(n.Title, wrapAt-4))+len(b.lines))*lineHeight + 2*pad
	d.boxes[n.ID] = b
	d.order = append(d.order, b)
	return b
}

// wrap cuts text into lines of at most n characters, at blanks where there are some.
func wrap(text string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for rest := []rune(word); len(rest) > 0; {
			room := n - len([]rune(line))
			if line != "" {
				room--
			}
			switch {
			case len(rest) <= room:
				if line != "" {
					line += " "
				}
				line += string(rest)
				rest = nil
			case line != "":
				lines, line = append(lines, line), ""
			default:
				lines, rest = append(lines, string(rest[:n])), rest[n:]
			}
		}
	}
	if line != "" || lines == nil {
		lines = append(lines, line)
	}
	return lines
}
