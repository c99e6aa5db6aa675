// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bufio"
	"fmt"

	"safeload/bpf"
)

// style is for the HTML file; barStyle for the picture alone as well.
const style = `
#drawing{overflow-x:auto}
#drawing svg{width:100%;height:auto;min-width:1000px;display:block}
#drawing text{font:11px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:var(--ink);paint-order:stroke;stroke:var(--back);stroke-width:3px}
#drawing path{fill:none;vector-effect:non-scaling-stroke}
` + barStyle + `.legend{display:flex;flex-wrap:wrap;gap:4px 18px}.legend span{white-space:nowrap}.legend svg{vertical-align:middle}
.legend path{fill:none}
#about{min-height:6.5em;border:1px solid var(--line);background:var(--card);padding:6px 10px;overflow-wrap:anywhere;white-space:pre-wrap}
.tools{position:sticky;top:0;background:var(--back);padding:6px 0;z-index:1}
.tools input{font:inherit;width:min(24em,100%);padding:4px 8px;color:var(--ink);background:var(--card);border:1px solid var(--soft);border-radius:4px}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:2px 10px 2px 0;border-top:1px solid var(--line);overflow-wrap:anywhere}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
[hidden]{display:none!important}
`

const barStyle = `.tick{stroke:var(--line);stroke-width:1}
.task{stroke:var(--line);stroke-width:1}
.read{stroke:#6b8fb5;stroke-width:5}
.init{stroke:#27598c;stroke-width:12}
.request{stroke:#8a6d00;stroke-width:12;stroke-dasharray:2 2}
.same{stroke:#8a3d9e;stroke-width:12;stroke-dasharray:7 2}
.disk{stroke:#3a7d5c;stroke-width:9;stroke-dasharray:3 1}
.unpack{stroke:#3a7d5c;stroke-width:9}
.symbol{stroke:#8a3d9e;stroke-width:12;stroke-dasharray:3 3}
.lock{stroke:#b0562f;stroke-width:12;stroke-dasharray:9 1 2 1}
.async{stroke:#b0562f;stroke-width:12;stroke-dasharray:1 4}
.asleep{stroke:#27598c;stroke-width:3;stroke-dasharray:4 3}
.ask{stroke:#8a6d00;stroke-width:4;stroke-dasharray:2 2}
.failed{stroke:var(--bad);stroke-width:2}
.self{stroke:var(--bad);stroke-width:16;opacity:.45}
.arrow{stroke:var(--soft);stroke-width:1;opacity:.7}
.critical{stroke:var(--bad);stroke-width:2}
.chosen{stroke:var(--link);stroke-width:2.5}
@media (prefers-color-scheme:dark){.read{stroke:#7ea3cc}.init{stroke:#8ec1f5}.request,.ask{stroke:#e0be4a}.same,.symbol{stroke:#d59be6}.asleep{stroke:#8ec1f5}.disk,.unpack{stroke:#7cc4a0}.lock,.async{stroke:#e89a74}}
@media print{.read,.init,.request,.same,.ask,.disk,.unpack,.symbol,.lock,.async,.asleep{stroke:#000}}
`

// classes are how phases are drawn.
var classes = map[string]string{
	bpf.PhaseDisk: "disk", bpf.PhaseDecompress: "unpack", bpf.PhaseSymbol: "symbol", bpf.PhaseLock: "lock", bpf.PhaseAsync: "async", bpf.PhaseAsleep: "asleep",
}

// key explains the bars.
var key = [...]struct{ class, shape, text string }{
	{"read", bar, "reading, decompressing and linking (thin)"},
	{"disk", bar, "reads a file (dashes)"},
	{"unpack", bar, "is decompressed"},
	{"init", bar, "init (thick)"},
	{"asleep", bar, "asleep (a thin dashed line)"},
	{"request", bar, "waits for its request (fine stripes)"},
	{"same", bar, "waits for the same module (wide stripes)"},
	{"symbol", bar, "waits for a symbol (stripes)"},
	{"lock", bar, "waits for a lock (a wide and a narrow stripe)"},
	{"async", bar, "waits for async functions (sparse stripes)"},
	{"ask", bar, "a request by no load"},
	{"failed", "M13 4l8 8m0-8l-8 8", "failed"},
	{"self", bar, "waits for itself"},
	{"critical", bar, "critical path (a line through it)"},
}

const bar = "M2 8h30"

// legend calls f for what is told apart in this record; what is not is in its heading.
func (d *drawing) legend(f func(class, shape, text string)) {
	untold := make(map[string]bool)
	for _, kind := range d.untold() {
		untold[classes[kind]] = true
	}
	for _, e := range key {
		if !untold[e.class] {
			f(e.class, e.shape, e.text)
		}
	}
}

func (d *drawing) htmlLegend(b *bufio.Writer) {
	fmt.Fprint(b, `<p class="legend">`)
	d.legend(func(class, shape, text string) {
		fmt.Fprintf(b, `<span><svg width="34" height="16" aria-hidden="true"><path class="%s" d="%s"/></svg> %s</span>`, class, shape, text)
	})
	fmt.Fprint(b, "</p>\n")
}
