// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"safeload/internal/page"
	"safeload/internal/plain"
)

//go:embed timeline.js
var script string

// WriteHTML draws a timeline as one file for a browser.
func WriteHTML(w io.Writer, t *Timeline) error {
	p := page.Page{Title: "safeload timeline: " + t.Start.Release + " " + t.Start.Machine, Style: style, Script: script}
	b := bufio.NewWriter(w)
	if err := p.Begin(b); err != nil {
		return err
	}
	d := newDrawing(t)
	fmt.Fprint(b, "<main><h1>What was loaded, when, and for whom</h1>\n")
	for _, l := range t.heading() {
		fmt.Fprintf(b, "<p>%s</p>\n", page.Text(l))
	}
	d.htmlLegend(b)
	fmt.Fprint(b, `<div class="tools screen" hidden><label>Search <input type="search" id="search" autocomplete="off" placeholder="module, request, command; Enter goes on"></label> `+
		`<button type="button" id="in">Closer</button> <button type="button" id="out">Farther</button> <button type="button" id="back">Earlier</button> <button type="button" id="on">Later</button> <button type="button" id="all">All</button>`+
		`<div id="about" role="status">Click on a bar, or search: what it is, who asked for it, and what came of it.</div></div>`+"\n")
	d.draw(b)
	d.critical(b)
	d.tables(b)
	fmt.Fprint(b, `<p class="soft">One lane is a task, or several that followed each other. What takes less than 0.2 ms is not told apart.</p></main>`+"\n")
	if err := d.data(b); err != nil {
		return err
	}
	if err := p.End(b); err != nil {
		return err
	}
	return b.Flush()
}

func (d *drawing) draw(b *bufio.Writer) {
	height := float64(max(d.rows, 1)) * row
	title := fmt.Sprintf("%d loads and %d requests in %.3f s, on %d lanes", len(d.Loads), len(d.Requests), (d.To - d.From).Seconds(), d.rows)
	fmt.Fprintf(b, `<div id="drawing" class="scrolls" tabindex="0"><svg viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-labelledby="dt"><title id="dt">%s</title>`+"\n",
		wide+2*left, top+height+10, wide+2*left, top+height+10, title)
	d.body(b, height)
	fmt.Fprint(b, "</svg></div>\n")
}

func (d *drawing) critical(b *bufio.Writer) {
	fmt.Fprint(b, "<section><h2>Critical path</h2>\n")
	if len(d.steps) == 0 {
		fmt.Fprint(b, "<p>No load became live.</p></section>\n")
		return
	}
	fmt.Fprint(b, "<p>Back from the load that ended last: what had to end before the next could begin.</p>\n"+
		`<table><thead><tr><th class="n">at, s</th><th class="n">took</th><th>what</th></tr></thead><tbody>`+"\n")
	for i := range d.steps {
		if i == maxListed {
			fmt.Fprintf(b, `<tr><td></td><td></td><td>and %d more: safeload timeline --text</td></tr>`, len(d.steps)-i)
			break
		}
		s := &d.steps[i]
		fmt.Fprintf(b, `<tr><td class="n">%s</td><td class="n">%s</td><td>%s</td></tr>`+"\n", d.since(s.From), millis(s.To-s.From), page.Text(s.words()))
	}
	fmt.Fprint(b, "</tbody></table></section>\n")
}

// tables are what cost most, and what went wrong.
func (d *drawing) tables(b *bufio.Writer) {
	fmt.Fprint(b, "<section><h2>The loads that cost most by themselves</h2>\n"+
		`<table><thead><tr><th class="n">by itself</th><th class="n">in all</th><th>module</th><th>by</th></tr></thead><tbody>`+"\n")
	for _, o := range d.Dearest(dearest) {
		fmt.Fprintf(b, `<tr><td class="n">%s</td><td class="n">%s</td><td>%s</td><td>%s</td></tr>`+"\n", millis(o.Own()), millis(o.Took()), page.Text(o.name()),
			page.Text(fmt.Sprintf("%s[%d]", o.Comm, o.TID)))
	}
	fmt.Fprint(b, "</tbody></table></section>\n")
	n := 0
	for _, o := range d.Loads {
		if o.Found == 0 && o.Ended && o.Ret >= 0 {
			continue
		}
		if n++; n == 1 {
			fmt.Fprint(b, `<section><h2>What did not become live</h2><table><thead><tr><th class="n">at, s</th><th>module</th><th>by</th><th>result</th></tr></thead><tbody>`+"\n")
		}
		if n > maxListed {
			continue
		}
		result := o.result()
		switch {
		case o.certain():
			result += "; waits for itself"
		case o.Found != 0:
			result += "; probably waits for itself"
		}
		fmt.Fprintf(b, `<tr><td class="n">%s</td><td>%s</td><td>%s</td><td>%s</td></tr>`+"\n", d.since(o.Begin), page.Text(o.name()), page.Text(fmt.Sprintf("%s[%d]", o.Comm, o.TID)), result)
	}
	switch {
	case n > maxListed:
		fmt.Fprintf(b, "</tbody></table><p>and %d more: safeload timeline --text</p></section>\n", n-maxListed)
	case n > 0:
		fmt.Fprint(b, "</tbody></table></section>\n")
	}
}

// data writes what the script shows of each bar, as text of the page: JSON in which Go writes what HTML would read as \u003c.
func (d *drawing) data(b *bufio.Writer) error {
	index := make(map[string]int)
	names := []string{}
	word := func(s string) int {
		n, ok := index[s]
		if !ok {
			n = len(names)
			index[s] = n
			names = append(names, s)
		}
		return n
	}
	us := func(at time.Duration) int64 { return (at - d.From).Microseconds() }
	at := make(map[*Load]int, len(d.Loads))
	for i, o := range d.Loads {
		at[o] = i
	}
	asked := make(map[*Request]int, len(d.Requests))
	requests := make([][]int64, len(d.Requests))
	for i, q := range d.Requests {
		asked[q] = i
		load := int64(-1)
		if q.Load != nil {
			load = int64(at[q.Load])
		}
		requests[i] = []int64{int64(word(plain.Text(q.name()))), int64(word(plain.Text(q.Comm))), int64(q.TID), load, us(q.Begin), us(q.End) - us(q.Begin),
			int64(d.lanes[q.TID]), int64(word(plain.Text(q.Who.String())))}
	}
	for i, q := range d.Requests {
		parent := int64(-1)
		if q.Parent != nil {
			parent = int64(asked[q.Parent])
		}
		requests[i] = append(requests[i], parent)
	}
	loads := make([][]int64, len(d.Loads))
	for i, o := range d.Loads {
		by, init := int64(-1), int64(-1)
		if o.Asked != nil {
			by = int64(asked[o.Asked])
		}
		if o.Init != 0 {
			init = us(o.Init) - us(o.Begin)
		}
		loads[i] = []int64{int64(word(plain.Text(o.name()))), int64(word(plain.Text(o.Comm))), int64(o.TID), by, us(o.Begin), us(o.End) - us(o.Begin),
			int64(d.lanes[o.TID]), int64(word(plain.Text(o.Who.String()))), init, o.Own().Microseconds(), int64(word(o.result())), int64(o.Found), int64(word(o.Why.words())), int64(word(o.shares()))}
	}
	j, err := json.Marshal(map[string]any{"words": names, "loads": loads, "requests": requests, "us": us(d.To), "row": row, "wide": wide, "left": left, "top": top})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(b, "<div hidden id=\"data\">%s</div>\n", strings.ReplaceAll(string(j), "&", `\u0026`))
	return err
}
