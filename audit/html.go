// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"strings"

	"safeload/internal/page"
	"safeload/internal/picture"
)

//go:embed report.js
var htmlScript string

const htmlStyle = `
.find{position:sticky;top:0;background:var(--back);padding:8px 0;border-bottom:1px solid var(--line);z-index:1}
.find input[type=search]{font:inherit;width:min(28em,100%);padding:5px 8px;color:var(--ink);background:var(--card);border:1px solid var(--soft);border-radius:4px}
.find label,.find button{margin:0 10px 0 0}
details.finding{border:1px solid var(--line);border-radius:4px;margin:6px 0;background:var(--card)}
details.finding[open]{border-color:var(--soft)}
details.finding>summary{cursor:pointer;padding:7px 10px;overflow-wrap:anywhere}
details.finding>div{padding:2px 12px 12px}
details.finding:target{outline:3px solid var(--link)}
.rank{display:inline-block;min-width:6.5em;font-weight:bold}.certain,.likely{color:var(--bad)}
.certain{text-decoration:underline}.known{color:var(--soft)}
ol.route{margin:4px 0;padding-left:24px}ol.route li{overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;table-layout:fixed}
th:last-child{width:36%}
th,td{text-align:left;vertical-align:top;padding:3px 8px 3px 0;border-top:1px solid var(--line);overflow-wrap:anywhere}
td button{all:unset;cursor:pointer;color:var(--link);text-decoration:underline;overflow-wrap:anywhere}
td button:focus-visible{outline:2px solid var(--link)}
#around svg{max-width:100%;height:auto;display:block}
#around .node{cursor:pointer}#around .node:focus-visible rect{stroke-width:3}
[hidden]{display:none!important}
`

// WriteHTML writes one file for a browser: findings whose routes unfold, what modules request of each other as a table and,
// around any of them, as a graph, and a search. known tells which findings a baseline has.
func WriteHTML(w io.Writer, version string, results []*Result, known func(id string) bool) error {
	names := make([]string, len(results))
	for i, r := range results {
		names[i] = r.Dir
	}
	p := page.Page{Title: "safeload audit: " + strings.Join(names, ", "), Style: picture.Style + htmlStyle, Script: htmlScript}
	b := bufio.NewWriter(w)
	if err := p.Begin(b); err != nil {
		return err
	}
	fmt.Fprintf(b, "<main><h1>Modules whose load can wait for itself</h1>\n")
	fmt.Fprint(b, `<div class="find screen" role="search" hidden><label>Search <input type="search" id="search" autocomplete="off" placeholder="module, request, function"></label>`)
	for _, rank := range []Rank{Certain, Likely, Possible, ParameterDriven} {
		fmt.Fprintf(b, `<label><input type="checkbox" class="ranks" value="%s" checked> %s</label>`, rank, rank)
	}
	fmt.Fprint(b, `<button type="button" id="unfold">Unfold all</button><span id="shown" class="soft" role="status"></span></div>`+"\n")
	for i, r := range results {
		writeTree(b, r, i, known)
	}
	writeRequests(b, results)
	fmt.Fprintf(b, `<p class="soft">safeload %s. What each rank means: docs/audit.md.</p></main>`+"\n", page.Text(version))
	if err := p.End(b); err != nil {
		return err
	}
	return b.Flush()
}

func writeTree(b *bufio.Writer, r *Result, tree int, known func(id string) bool) {
	fmt.Fprintf(b, "<section><h2>%s</h2>\n<p>%d modules", page.Text(r.Dir), r.Modules)
	if r.Release != "" {
		fmt.Fprintf(b, " for %s", page.Text(r.Release))
	}
	var count [ParameterDriven + 1]int
	for i := range r.Findings {
		count[r.Findings[i].Rank]++
	}
	fmt.Fprintf(b, ": %d certain, %d likely, %d possible, %d by parameter; of %d requests that some init reaches no part of the name is known.</p>\n",
		count[Certain], count[Likely], count[Possible], count[ParameterDriven], r.Opaque)
	if len(r.Findings) == 0 {
		fmt.Fprint(b, "<p>No module was found that can request itself while it loads, or what waits for it.</p>\n")
	}
	for i := range r.Findings {
		writeFinding(b, &r.Findings[i], fmt.Sprintf("t%df%d", tree, i), i < maxDrawn, known)
	}
	if len(r.Failed) > 0 {
		fmt.Fprintf(b, "<h3>Not read, or not analysed</h3><ul>")
		for _, err := range r.Failed {
			fmt.Fprintf(b, "<li>%s</li>", page.Text(err.Error()))
		}
		fmt.Fprintf(b, "</ul>\n")
	}
	fmt.Fprint(b, "</section>\n")
}

func writeFinding(b *bufio.Writer, f *Finding, id string, drawn bool, known func(id string) bool) {
	open, old := "", ""
	if f.Rank <= Likely {
		open = " open"
	}
	if known(f.ID()) {
		old = ` <span class="known">(known)</span>`
	}
	fmt.Fprintf(b, `<details class="finding" id="%s" data-rank="%s"%s><summary><span class="rank %s">%s</span> <span>%s</span>%s</summary><div>`+"\n",
		id, f.Rank, open, f.Rank, f.Rank, page.Text(f.Title()), old)
	if f.File != "" {
		fmt.Fprintf(b, `<p class="soft"><code>%s</code></p>`, page.Text(f.File))
	}
	for i := range f.Hops {
		h := &f.Hops[i]
		fmt.Fprintf(b, "<h3>%s %s</h3>", page.Text(h.Module), page.Text(h.asks(f.Rank)))
		if f.Rank != ParameterDriven && h.Why != "" {
			fmt.Fprintf(b, "<p>The name stands for %s by %s.</p>", page.Text(h.Match), page.Text(h.Why))
		}
		writeRoute(b, h)
		if h.While != "" {
			fmt.Fprintf(b, "<p>While %s.</p>", page.Text(h.While))
		}
	}
	if f.Wait != nil {
		for _, l := range f.Wait.says() {
			fmt.Fprintf(b, "<p>%s.</p>", page.Text(strings.ToUpper(l[:1])+l[1:]))
		}
	}
	if drawn && f.Rank != ParameterDriven {
		p := &picture.Picture{ID: id}
		f.draw(p)
		p.Heading = p.Circles[0].Heading
		p.Circles[0].Heading = "In this order"
		_ = picture.SVG(b, p) // b keeps its error
	}
	fmt.Fprint(b, "</div></details>\n")
}

func writeRoute(b *bufio.Writer, h *Hop) {
	if len(h.Route) > 0 {
		fmt.Fprint(b, `<ol class="route">`)
		for _, step := range h.Route {
			fmt.Fprintf(b, "<li><code>%s</code></li>", page.Text(step))
		}
		fmt.Fprint(b, "</ol>")
	}
	for _, weak := range h.Weak {
		fmt.Fprintf(b, "<p>Unsure: %s.</p>", page.Text(weak))
	}
	fmt.Fprintln(b)
}

// writeRequests writes what modules request of each other, whether or not that is part of a finding. The script draws from
// this table, so that no name of others' is ever part of a script.
func writeRequests(b *bufio.Writer, results []*Result) {
	n := 0
	for _, r := range results {
		n += len(r.Requests)
	}
	fmt.Fprintf(b, "<section><h2>Requests between modules</h2>\n<p>%d pairs: the init of the first asks for a name that loads the second, if it is not there yet. Dashed is what is not sure.</p>\n", n)
	fmt.Fprint(b, `<div id="around" class="screen" hidden></div>`+"\n")
	if n > 0 {
		fmt.Fprint(b, `<table id="requests"><thead><tr><th scope="col">module</th><th scope="col">requests</th><th scope="col">loads</th><th scope="col">how sure</th></tr></thead><tbody>`+"\n")
		for _, r := range results {
			for i := range r.Requests {
				writeRequest(b, &r.Requests[i])
			}
		}
		fmt.Fprint(b, "</tbody></table>\n")
	}
	fmt.Fprint(b, "</section>\n")
}

func writeRequest(b *bufio.Writer, h *Hop) {
	sure := "certain"
	if len(h.Weak) > 0 {
		sure = "unsure: " + strings.Join(h.Weak, "; ")
	}
	fmt.Fprintf(b, `<tr data-sure="%d"><td>%s</td><td>%s</td><td>%s</td><td>`, len(h.Weak), page.Text(h.Module), page.Text(h.Request), page.Text(h.Loads))
	if len(h.Route) == 0 {
		fmt.Fprintf(b, "%s</td></tr>\n", page.Text(sure))
		return
	}
	fmt.Fprintf(b, "<details><summary>%s</summary><code>%s</code></details></td></tr>\n", page.Text(sure), page.Text(strings.Join(h.Route, " → ")))
}
