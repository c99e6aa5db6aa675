// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bufio"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"safeload/internal/page"
)

// Sizes of the drawing, in px. Bars of one kind are one path, so that thousands of them make a small file; what they are is
// in the data that the script reads.
const (
	wide      = 1120.0
	left      = 10.0
	top       = 34.0
	row       = 22.0
	em        = 7.0 // of the labels' 11 px: no monospaced font in use is wider
	slimmest  = 0.7 // of a bar
	maxArrows = 400 // more than that hide what is below; the script draws those of what is selected
	maxListed = 300 // rows of a table
)

// drawing is a timeline with its lanes.
type drawing struct {
	*Timeline
	lanes map[uint32]int // of each task
	rows  int
	steps []Step
}

func newDrawing(t *Timeline) *drawing {
	d := &drawing{Timeline: t, lanes: make(map[uint32]int), steps: t.Critical()}
	type span struct {
		tid      uint32
		from, to time.Duration
	}
	spans := make(map[uint32]*span)
	add := func(tid uint32, from, to time.Duration) {
		s := spans[tid]
		if s == nil {
			s = &span{tid, from, to}
			spans[tid] = s
		}
		s.from, s.to = min(s.from, from), max(s.to, to)
	}
	for _, o := range t.Loads {
		add(o.TID, o.Begin, o.End)
	}
	for _, q := range t.Requests {
		add(q.TID, q.Begin, q.End)
	}
	all := make([]*span, 0, len(spans))
	for _, s := range spans {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.tid, b.tid)) })
	apart := time.Duration(float64(t.To-t.From) * 3 / wide) // bars of two tasks must not look like one
	var l lanes
	for _, s := range all {
		d.lanes[s.tid] = l.take(s.from, s.to+apart)
	}
	d.rows = l.rows
	return d
}

func (d *drawing) x(at time.Duration) float64 {
	if d.To <= d.From {
		return 0
	}
	return float64(at-d.From) / float64(d.To-d.From) * wide
}

func (d *drawing) y(tid uint32) float64 { return float64(d.lanes[tid])*row + row/2 }

// bars are those of one kind, as the data of one path.
type bars struct{ b []byte }

func number(b []byte, f float64) []byte {
	s := strconv.AppendFloat(nil, math.Round(f*1000)/1000, 'f', -1, 64)
	return append(b, s...)
}

func (p *bars) bar(x, y, to float64) {
	p.b = number(append(p.b, 'M'), x)
	p.b = number(append(p.b, ' '), y)
	p.b = number(append(p.b, 'h'), max(to-x, slimmest))
}

func (p *bars) line(x, y, x2, y2 float64) {
	p.b = number(append(p.b, 'M'), x)
	p.b = number(append(p.b, ' '), y)
	p.b = number(append(p.b, 'L'), x2)
	p.b = number(append(p.b, ' '), y2)
}

// body is what the script draws anew when it zooms.
func (d *drawing) body(b *bufio.Writer, height float64) {
	d.axis(b, height)
	fmt.Fprintf(b, `<svg id="plot" x="%.0f" y="%.0f" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" preserveAspectRatio="none">`+"\n", left, top, wide, height, wide, height)
	kinds := []string{"self", "arrow", "read", "init", "request", "same", "disk", "unpack", "symbol", "lock", "async", "asleep", "ask", "failed", "critical"}
	paths := make(map[string]*bars)
	for _, k := range kinds {
		paths[k] = &bars{}
	}
	for _, o := range d.Loads {
		d.load(paths, o)
	}
	arrows := 0
	for _, q := range d.Requests {
		arrows += len(q.Loads)
		if q.Load == nil || q.Load.TID != q.TID {
			paths["ask"].bar(d.x(q.Begin), d.y(q.TID), d.x(q.End))
		}
	}
	if arrows <= maxArrows {
		for _, q := range d.Requests {
			for _, o := range q.Loads {
				d.arrow(paths["arrow"], q, o)
			}
		}
	}
	d.line(paths["critical"])
	for _, k := range kinds {
		if len(paths[k].b) > 0 {
			fmt.Fprintf(b, `<path class="%s" d="%s"/>`+"\n", k, paths[k].b)
		}
	}
	fmt.Fprint(b, `<path id="chosen" class="chosen" d=""/></svg>`+"\n"+`<g id="labels">`)
	d.labels(b)
	fmt.Fprint(b, "</g>\n")
}

// load draws the bars of a load: what is no wait is reading, or from Init on init.
func (d *drawing) load(paths map[string]*bars, o *Load) {
	y := d.y(o.TID)
	if o.Found != 0 {
		paths["self"].bar(d.x(o.Begin), y, d.x(o.End))
	}
	own := func(from, to time.Duration) {
		if o.Init == 0 || to <= o.Init {
			paths["read"].bar(d.x(from), y, d.x(to))
			return
		}
		if from < o.Init {
			paths["read"].bar(d.x(from), y, d.x(o.Init))
			from = o.Init
		}
		paths["init"].bar(d.x(from), y, d.x(to))
	}
	at := o.Begin
	for _, w := range o.Waits {
		if w.From > at {
			own(at, w.From)
		}
		kind := "same"
		if w.Request != nil {
			kind = "request"
		} else if class := classes[w.How]; class != "" {
			kind = class
		}
		paths[kind].bar(d.x(w.From), y, d.x(w.To))
		at = w.To
	}
	if at < o.End || at == o.Begin {
		own(at, o.End)
	}
	if o.Ended && o.Ret < 0 {
		x := d.x(o.End)
		paths["failed"].line(x, y-4, x, y+4)
	}
}

// arrow leads from who asked to what came.
func (d *drawing) arrow(p *bars, q *Request, o *Load) {
	x, y, x2, y2 := d.x(q.Begin), d.y(q.TID), d.x(o.Begin), d.y(o.TID)
	p.line(x, y, x2, y2)
	if y != y2 {
		way := math.Copysign(5, y-y2)
		p.line(x2-2, y2+way, x2, y2)
		p.line(x2+2, y2+way, x2, y2)
	}
}

// line draws the critical path through its tasks.
func (d *drawing) line(p *bars) {
	for i := range d.steps {
		s := &d.steps[i]
		tid := uint32(0)
		if s.Load != nil {
			tid = s.Load.TID
		} else if s.Request != nil {
			tid = s.Request.TID
		}
		y := d.y(tid)
		if i == 0 {
			p.b = number(append(p.b, 'M'), d.x(s.From))
			p.b = number(append(p.b, ' '), y)
		}
		p.b = number(append(p.b, 'V'), y)
		p.b = number(append(p.b, 'H'), d.x(s.To))
	}
}

// axis marks round times.
func (d *drawing) axis(b *bufio.Writer, height float64) {
	fmt.Fprint(b, `<g id="axis">`)
	total := (d.To - d.From).Seconds()
	if total > 0 {
		step := math.Pow(10, math.Floor(math.Log10(total)))
		for _, part := range []float64{5, 4, 2} {
			if total/step < 4 {
				step = step * part / 10
			}
		}
		for at := 0.0; at <= total; at += step {
			x := left + at/total*wide
			anchor := "middle"
			if at == 0 {
				anchor = "start"
			} else if x > left+wide-40 {
				anchor = "end"
			}
			fmt.Fprintf(b, `<path class="tick" d="M%.1f 20V%.1f"/><text x="%.1f" y="14" text-anchor="%s">%g s</text>`, x, top+height, x, anchor, math.Round(at*1e6)/1e6)
		}
	}
	fmt.Fprint(b, "</g>\n")
}

// labels names the loads that have room for it.
func (d *drawing) labels(b *bufio.Writer) {
	for _, o := range d.Loads {
		name := page.Text(o.name())
		if room := d.x(o.End) - d.x(o.Begin); o.Module != "" && float64(len(name))*em+4 <= room {
			fmt.Fprintf(b, `<text x="%.1f" y="%.1f" class="label">%s</text>`, left+d.x(o.Begin)+2, top+d.y(o.TID)+4, name)
		}
	}
}
