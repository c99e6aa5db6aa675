// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// markup is what a module's file may have for a name.
const markup = "</td></script><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J\u202e\"'&"

func drawnResult() *Result {
	hop := func(from, name, to string, weak ...string) Hop {
		return Hop{Module: from, Request: name, Route: []string{from + "_init", "register " + name}, Match: to, Why: "its name", Loads: to, Weak: weak, While: "no usable one is there"}
	}
	return &Result{Dir: "tree", Release: "6.1", Modules: 7, Opaque: 2, Failed: []error{errors.New("x.ko: " + markup)},
		Findings: []Finding{
			{Module: "self", File: "self.ko", Rank: Certain, Hops: []Hop{hop("self", "crypto-x", "self")}},
			{Module: "a", File: "a.ko", Rank: Likely, Hops: []Hop{hop("a", "name-of-b", "b"), hop("b", "name-of-a", "a", "a device must be there")}},
			{Module: markup, File: markup, Rank: Possible, Hops: []Hop{hop(markup, markup, markup, markup, "w")}},
			{Module: "tcrypt", Rank: ParameterDriven, Parameter: "alg", Hops: []Hop{{Module: "tcrypt", Request: "%s"}}},
		},
		Requests: []Hop{hop("a", "name-of-b", "b"), hop(markup, markup, "b", markup)}}
}

// tags are the elements of a document, which has to be well formed but for what HTML leaves open.
func tags(t *testing.T, doc []byte, visit func(e xml.StartElement)) (text string) {
	t.Helper()
	// The script is text for HTML, and ends with its own tag.
	if before, rest, ok := bytes.Cut(doc, []byte("<script>")); ok {
		_, after, _ := bytes.Cut(rest, []byte("</script>"))
		doc = append(bytes.Clone(before), after...)
	}
	doc = bytes.TrimPrefix(doc, []byte("<!doctype html>"))
	in := xml.NewDecoder(bytes.NewReader(doc))
	in.Strict, in.AutoClose, in.Entity = false, []string{"meta", "input"}, xml.HTMLEntity
	var b strings.Builder
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		} else if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			visit(e)
		case xml.CharData:
			b.Write(e)
		}
	}
}

// TestHTML: all that was found is there to read, nothing of it is markup, and nothing is fetched.
func TestHTML(t *testing.T) {
	var b bytes.Buffer
	r := drawnResult()
	if err := WriteHTML(&b, "1", []*Result{r, r}, func(id string) bool { return id == r.Findings[1].ID() }); err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	ids := make(map[string]bool)
	text := tags(t, b.Bytes(), func(e xml.StartElement) {
		name := e.Name.Local
		count[name]++
		for _, a := range e.Attr {
			switch {
			case a.Name.Local == "src", a.Name.Local == "href", a.Name.Local == "style" && strings.Contains(a.Value, "url"), strings.HasPrefix(a.Name.Local, "on"):
				t.Errorf("<%s %s=%q>", name, a.Name.Local, a.Value)
			case a.Name.Local == "id":
				if ids[a.Value] {
					t.Errorf("id %q twice", a.Value)
				}
				ids[a.Value] = true
			}
		}
	})
	if count["script"] != 0 || count["img"] != 0 || count["link"] != 0 {
		t.Errorf("elements %v", count)
	}
	if count["svg"] != 6 || count["tr"] != 5 {
		t.Errorf("%d pictures, %d rows", count["svg"], count["tr"])
	}
	for _, want := range []string{"self requests crypto-x, which is itself", "a device must be there", "self_init", "(known)", "1 certain, 1 likely, 1 possible, 1 by parameter",
		`\x1b[2J\xe2\x80\xae`, "</script><script>alert(1)</script>"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestSVG: certain and likely are drawn, possible when asked for; what is not drawn is said.
func TestSVG(t *testing.T) {
	for _, c := range []struct {
		all  bool
		head string
	}{{false, "2 ways in which a load can wait for itself; 2 less likely or further ones are not drawn"}, {true, "4 ways in which a load can wait for itself"}} {
		var b bytes.Buffer
		if err := WriteSVG(&b, []*Result{drawnResult()}, c.all); err != nil {
			t.Fatal(err)
		}
		boxes := 0
		text := tags(t, b.Bytes(), func(e xml.StartElement) {
			if e.Name.Local == "rect" && e.Attr[0].Value == "box" {
				boxes++
			}
			if e.Name.Local == "script" || e.Name.Local == "img" {
				t.Errorf("<%s>", e.Name.Local)
			}
		})
		if !strings.Contains(text, c.head) || boxes != map[bool]int{false: 3, true: 5}[c.all] {
			t.Errorf("all=%v: %d boxes in\n%s", c.all, boxes, text)
		}
	}
	var b bytes.Buffer
	if err := WriteSVG(&b, []*Result{{}}, true); err != nil || !strings.Contains(b.String(), "No load is seen that waits for itself") {
		t.Errorf("%v\n%s", err, b.String())
	}
	many := &Result{}
	for i := range maxDrawn + 7 {
		f := drawnResult().Findings[0]
		f.Module = fmt.Sprint(i)
		many.Findings = append(many.Findings, f)
	}
	b.Reset()
	if err := WriteSVG(&b, []*Result{many}, true); err != nil || !strings.Contains(b.String(), "; 7 less likely") {
		t.Errorf("%v", err)
	}
}
