// SPDX-License-Identifier: Apache-2.0

package picture

import (
	"fmt"
	"strings"
)

// Style has colours for light and for dark; a circle is told by thick lines and a double frame as well, a likely wait by
// dashes and its label, so that nothing hangs on colours.
const Style = `
.page{fill:#fff}.text{fill:#1b1b1b;font:13px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
.head{font-weight:bold;font-size:15px}.name{font-weight:bold}
.box{fill:#f4f5f7;stroke:#5c6470;stroke-width:1.2}.in .box{fill:#fdeeee;stroke:#b3151b;stroke-width:2.5}
.inner{fill:none;stroke:#b3151b;stroke-width:1}
.wait{fill:none;stroke:#5c6470;stroke-width:1.4}.in.wait{stroke:#b3151b;stroke-width:3}
.likely{stroke-dasharray:9 5}.maybe{stroke-dasharray:2 5;stroke-width:1}
.tip{fill:#5c6470}.tip.in{fill:#b3151b}
@media (prefers-color-scheme:dark){.page{fill:#14161a}.text{fill:#e8eaed}.box{fill:#22262d;stroke:#9aa3af}
.in .box{fill:#3a1d20;stroke:#ff7b7f}.inner,.in.wait{stroke:#ff7b7f}.wait{stroke:#9aa3af}.tip{fill:#9aa3af}.tip.in{fill:#ff7b7f}}
@media print{.page{fill:#fff}.text{fill:#000}.box,.in .box{fill:#fff;stroke:#000}.inner,.wait,.in.wait{stroke:#000}.tip,.tip.in{fill:#000}}
`

func (d *drawing) printf(format string, a ...any) { fmt.Fprintf(&d.out, format, a...) }

// draw writes the whole document, which a screen reader reads as its title and its description.
func (d *drawing) draw() {
	if d.p.Heading == "" {
		d.p.Heading = "Who waits for whom"
	}
	d.width = max(d.width, float64(len([]rune(d.p.Heading)))*em*15/fontSize+2*margin)
	for _, h := range d.headings {
		d.width = max(d.width, float64(len([]rune(h.text)))*em*15/fontSize+2*margin)
	}
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-labelledby="%[5]st %[5]sd" style="max-width:100%%;height:auto">`+"\n",
		d.width, d.height, d.width, d.height, Escape(d.p.ID))
	d.printf("<title id=\"%[1]st\">%[2]s</title>\n<desc id=\"%[1]sd\">%[3]s</desc>\n", Escape(d.p.ID), Escape(d.p.Heading), Escape(d.describe()))
	if d.p.ID == "" {
		d.printf("<style>%s</style>\n", Style)
	}
	d.printf(`<rect class="page" width="%.0f" height="%.0f"/>`+"\n", d.width, d.height)
	d.text("text head", margin, margin+lineHeight-4, d.p.Heading)
	for _, h := range d.headings {
		d.text("text head", margin, h.y+lineHeight-4, h.text)
	}
	for i := range d.p.Circles {
		d.circle(d.p.Circles[i].IDs)
	}
	for i := range d.p.Edges {
		if e := &d.p.Edges[i]; !d.drawn[[2]int{e.From, e.To}] {
			d.beside(e)
		}
	}
	for _, b := range d.order {
		d.box(b)
	}
	d.printf("</svg>\n")
}

// describe is the picture in sentences.
func (d *drawing) describe() string {
	var b strings.Builder
	name := func(id int) string {
		if n := d.boxes[id]; n != nil {
			return n.Title
		}
		return fmt.Sprint(id)
	}
	for _, c := range d.p.Circles {
		fmt.Fprintf(&b, "%s: ", c.Heading)
		for i, id := range c.IDs {
			to := c.IDs[(i+1)%len(c.IDs)]
			if e := d.p.edge(id, to); e != nil {
				fmt.Fprintf(&b, "%s waits for %s, %s. ", name(id), name(to), e.label())
			}
		}
	}
	for i := range d.p.Edges {
		if e := &d.p.Edges[i]; !d.drawn[[2]int{e.From, e.To}] && !e.Maybe {
			fmt.Fprintf(&b, "%s waits for %s, %s. ", name(e.From), name(e.To), e.label())
		}
	}
	return strings.TrimSpace(b.String())
}

// circle draws the arrows of a circle: down from box to box, and back up on the right.
func (d *drawing) circle(ids []int) {
	for i, id := range ids {
		from, to := d.boxes[id], d.boxes[ids[(i+1)%len(ids)]]
		e := d.p.edge(id, ids[(i+1)%len(ids)])
		if from == nil || to == nil {
			continue
		}
		label, class := "", "wait in"
		if e != nil {
			label = e.label()
			if !e.Certain {
				class += " likely"
			}
		}
		if i < len(ids)-1 && to.y > from.y && from.x == to.x {
			x := from.x + 40
			d.printf(`<path class="%s" d="M%.1f %.1fV%.1f"/>`, class, x, from.bottom(), to.y-8)
			d.tip("tip in", x, to.y, 0, 1)
			for n, l := range wrap(label, wrapAt-6)[:min(2, len(wrap(label, wrapAt-6)))] {
				d.text("text", x+14, from.bottom()+24+float64(n)*lineHeight, l)
			}
			continue
		}
		x := max(from.right(), to.right()) + 3*lane
		y := from.middle()
		if from == to { // waits for itself at once
			y = from.bottom() - pad
		}
		d.printf(`<path class="%s" d="M%.1f %.1fH%.1fV%.1fH%.1f"/>`, class, from.right(), y, x, to.y+pad+6, to.right()+8)
		d.tip("tip in", to.right(), to.y+pad+6, -1, 0)
		lines := wrap(label, int(labelWidth/em))
		at := (y+to.y+pad)/2 - float64(len(lines)-1)*lineHeight/2
		for n, l := range lines {
			d.text("text", x+8, at+float64(n)*lineHeight+4, l)
		}
	}
}

// beside draws an arrow that is in no circle: out of the left of a box beside, or down the right of a column.
func (d *drawing) beside(e *Edge) {
	from, to := d.boxes[e.From], d.boxes[e.To]
	if from == nil || to == nil {
		return
	}
	class := "wait"
	if e.Maybe {
		class += " maybe"
	} else if !e.Certain {
		class += " likely"
	}
	d.lanes++
	shift := float64(d.lanes%5) * lane
	if from.x > to.x {
		x := from.x - lane - shift
		d.printf(`<path class="%s" d="M%.1f %.1fH%.1fV%.1fH%.1f"/>`, class, from.x, from.middle(), x, to.bottom()-pad, to.right()+8)
		d.tip("tip", to.right(), to.bottom()-pad, -1, 0)
		return
	}
	x := max(from.right(), to.right()) + lane + shift
	d.printf(`<path class="%s" d="M%.1f %.1fH%.1fV%.1fH%.1f"/>`, class, from.right(), from.middle(), x, to.middle(), to.right()+8)
	d.tip("tip", to.right(), to.middle(), -1, 0)
}

// tip is the head of an arrow that points to x, y in a direction.
func (d *drawing) tip(class string, x, y, dx, dy float64) {
	const long, half = 11, 6
	d.printf(`<path class="%s" d="M%.1f %.1fL%.1f %.1fL%.1f %.1fz"/>`+"\n", class, x, y,
		x-dx*long+dy*half, y-dy*long+dx*half, x-dx*long-dy*half, y-dy*long-dx*half)
}

func (d *drawing) box(b *box) {
	class := ""
	if b.circle {
		class = ` class="in"`
	}
	d.printf(`<g%s><title>%s</title><rect class="box" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="4"/>`, class, Escape(b.Title), b.x, b.y, boxWidth, b.h)
	if b.circle {
		d.printf(`<rect class="inner" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"/>`, b.x+4, b.y+4, boxWidth-8, b.h-8)
	}
	y := b.y + pad + lineHeight - 5
	for _, l := range wrap(b.Title, wrapAt-4) {
		d.text("text name", b.x+pad, y, l)
		y += lineHeight
	}
	for _, l := range b.lines {
		d.text("text", b.x+pad, y, l)
		y += lineHeight
	}
	d.printf("</g>\n")
}

func (d *drawing) text(class string, x, y float64, s string) {
	d.printf(`<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, x, y, Escape(s))
}

// Escape makes text safe in XML and HTML: their five characters, and what XML 1.0 does not allow at all.
func Escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '\'':
			b.WriteString("&#39;")
		case r < ' ' && r != '\n' && r != '\t', r == 0xfffe, r == 0xffff, r == 0x7f:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
