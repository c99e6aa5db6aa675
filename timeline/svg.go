// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"safeload/internal/page"
)

// svgStyle is for light, dark and paper.
const svgStyle = `
:root{color-scheme:light dark;--ink:#1b1b1b;--soft:#5c6470;--back:#fff;--line:#c9ced6;--bad:#b3151b;--link:#0b57b0}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#9aa3af;--back:#14161a;--line:#3a414c;--bad:#ff7b7f;--link:#8ab8ff}}
@media print{:root{--ink:#000;--soft:#333;--back:#fff;--line:#888;--bad:#000;--link:#000}}
text{font:11px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:var(--ink);paint-order:stroke;stroke:var(--back);stroke-width:3px}
path{fill:none;vector-effect:non-scaling-stroke}
.page{fill:var(--back)}
` + barStyle

const (
	lineHigh = 16.0
	columns  = 3
)

// WriteSVG draws a timeline as one picture, which cannot be searched: loads that have no room for their names have none.
func WriteSVG(w io.Writer, t *Timeline) error {
	d := newDrawing(t)
	var key []string
	d.legend(func(class, shape, text string) {
		key = append(key, fmt.Sprintf(`<path class="%s" d="%s"/><text x="40" y="12">%s</text>`, class, shape, text))
	})
	var heading []string
	for _, l := range t.heading() {
		heading = append(heading, fit(l)...)
	}
	plot := top + float64(max(d.rows, 1))*row + 10
	above := float64(len(heading))*lineHigh + 8
	width, height := wide+2*left, above+plot+float64((len(key)+columns-1)/columns)*lineHigh+8
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-labelledby="tt td" style="max-width:100%%;height:auto">`+"\n", width, height, width, height)
	fmt.Fprintf(b, "<title id=\"tt\">What was loaded, when, and for whom</title>\n<desc id=\"td\">%s</desc>\n<style>%s</style>\n<rect class=\"page\" width=\"100%%\" height=\"100%%\"/>\n",
		page.Text(d.describe()), svgStyle)
	for i, l := range heading {
		fmt.Fprintf(b, `<text x="%.0f" y="%.0f">%s</text>`+"\n", left, float64(i+1)*lineHigh, page.Text(l))
	}
	fmt.Fprintf(b, `<g transform="translate(0 %.0f)">`+"\n", above)
	d.body(b, plot-top-10)
	fmt.Fprint(b, "</g>\n")
	for i, k := range key {
		fmt.Fprintf(b, `<g transform="translate(%.0f %.0f)">%s</g>`+"\n", left+float64(i%columns)*(width-2*left)/columns, above+plot+float64(i/columns)*lineHigh, k)
	}
	fmt.Fprint(b, "</svg>\n")
	return b.Flush()
}

// fit breaks a line between words, and words that are too long, to the picture's width.
func fit(line string) (lines []string) {
	const most = int(wide / em)
	now := []rune(nil)
	for word := range strings.FieldsSeq(line) {
		w := []rune(word)
		if len(now) > 0 && len(now)+1+len(w) <= most {
			now = append(append(now, ' '), w...)
			continue
		}
		if len(now) > 0 {
			lines = append(lines, string(now))
		}
		for ; len(w) > most; w = w[most:] {
			lines = append(lines, string(w[:most]))
		}
		now = w
	}
	return append(lines, string(now))
}

// describe is the picture in sentences: the critical path, and what cost most.
func (d *drawing) describe() string {
	all := d.heading()
	for i := range d.steps {
		if i == 20 {
			all = append(all, fmt.Sprintf("and %d steps more", len(d.steps)-i))
			break
		}
		s := &d.steps[i]
		all = append(all, fmt.Sprintf("after %s s, for %s: %s", d.since(s.From), millis(s.To-s.From), s.words()))
	}
	return strings.Join(all, ". ") + "."
}
