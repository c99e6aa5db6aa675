// SPDX-License-Identifier: Apache-2.0

// Package page writes a report as one HTML file that needs nothing else: no network, no font, no other file. Its policy
// forbids the browser to fetch anything, and to run any script but the one that stands in it; without that one all is still
// there to read.
package page

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"

	"safeload/internal/picture"
	"safeload/internal/plain"
)

// A Page is what is around a report.
type Page struct {
	Title  string // text
	Style  string // CSS of the report's own
	Script string // ours and constant: nothing of others' may be part of it
}

// style is for light, dark and paper.
const style = `
:root{color-scheme:light dark;--ink:#1b1b1b;--soft:#5c6470;--back:#fff;--card:#f4f5f7;--line:#c9ced6;--bad:#b3151b;--link:#0b57b0}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#9aa3af;--back:#14161a;--card:#22262d;--line:#3a414c;--bad:#ff7b7f;--link:#8ab8ff}}
@media print{:root{--ink:#000;--soft:#333;--back:#fff;--card:#fff;--line:#888;--bad:#000;--link:#000}.screen{display:none}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1200px;padding:16px 20px 48px;background:var(--back);color:var(--ink);font:15px/1.45 system-ui,"DejaVu Sans",sans-serif}
h1{font-size:22px;margin:8px 0}h2{font-size:18px;margin:28px 0 8px}h3{font-size:15px;margin:16px 0 4px}
p{margin:6px 0;overflow-wrap:anywhere}a{color:var(--link)}
code,.mono{font:13px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;overflow-wrap:anywhere}
.soft{color:var(--soft)}
`

// Begin writes all before the report.
func (p *Page) Begin(w io.Writer) error {
	sum := sha256.Sum256([]byte(p.Script))
	policy := "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
	if p.Script != "" {
		policy += "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	_, err := fmt.Fprintf(w, `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="%s">
<title>%s</title>
<style>%s%s</style></head><body>
`, policy, Text(p.Title), style, p.Style)
	return err
}

// End writes all after it.
func (p *Page) End(w io.Writer) error {
	script := ""
	if p.Script != "" {
		script = "<script>" + p.Script + "</script>\n"
	}
	_, err := io.WriteString(w, script+"</body></html>\n")
	return err
}

// Text makes text of others' plain, and safe in HTML, in an attribute as well.
func Text(s string) string { return picture.Escape(plain.Text(s)) }
