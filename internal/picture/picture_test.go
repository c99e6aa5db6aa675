// SPDX-License-Identifier: Apache-2.0

package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ring is a picture of a circle of n, with others that wait for it.
func ring(n, others int) *Picture {
	p := &Picture{Heading: "A load waits for itself", Circles: []Circle{{Heading: "The load of m waits for itself (certain)"}}}
	for i := range n + others {
		p.Nodes = append(p.Nodes, Node{ID: i + 1, Title: fmt.Sprintf("pid %d modprobe -q -- %s", i+1, strings.Repeat("long", i%9)),
			Lines: []string{"loads a module", "sleeps in call_usermodehelper_exec for 31.0 s"}})
	}
	for i := range n {
		p.Circles[0].IDs = append(p.Circles[0].IDs, i+1)
		p.Edges = append(p.Edges, Edge{From: i + 1, To: (i+1)%n + 1, Label: "waits in request_module for its helper", Certain: i%2 == 0})
	}
	for i := range others {
		p.Edges = append(p.Edges, Edge{From: n + 1 + i, To: 1 + i%n, Label: "waits for m", Certain: true})
	}
	return p
}

// drawn is what a reader of the SVG finds.
type drawn struct {
	width, height float64
	texts         []string
	boxes         [][4]float64
	outside       []string
}

// read parses an SVG, and names the texts and boxes that are not inside of it.
func read(t *testing.T, b []byte) (d drawn) {
	t.Helper()
	number := func(e xml.StartElement, name string) float64 {
		for _, a := range e.Attr {
			if a.Name.Local == name {
				f, err := strconv.ParseFloat(a.Value, 64)
				if err != nil {
					t.Fatalf("%s=%q: %v", name, a.Value, err)
				}
				return f
			}
		}
		return 0
	}
	in := xml.NewDecoder(bytes.NewReader(b))
	in.Strict = true
	var x, y float64
	open := ""
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return d
		} else if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = e.Name.Local
			switch open {
			case "svg":
				d.width, d.height = number(e, "width"), number(e, "height")
			case "text":
				x, y = number(e, "x"), number(e, "y")
			case "rect":
				r := [4]float64{number(e, "x"), number(e, "y"), number(e, "width"), number(e, "height")}
				if r[0]+r[2] > d.width || r[1]+r[3] > d.height {
					d.outside = append(d.outside, fmt.Sprint("box ", r))
				}
				for _, a := range e.Attr {
					if a.Name.Local == "class" && a.Value == "box" {
						d.boxes = append(d.boxes, r)
					}
				}
			}
		case xml.CharData:
			if open == "text" && strings.TrimSpace(string(e)) != "" {
				d.texts = append(d.texts, string(e))
				if x+float64(len([]rune(string(e))))*em > d.width || y > d.height {
					d.outside = append(d.outside, string(e))
				}
			}
		case xml.EndElement:
			open = ""
		}
	}
}

func draw(t *testing.T, p *Picture) drawn {
	t.Helper()
	var b bytes.Buffer
	if err := SVG(&b, p); err != nil {
		t.Fatal(err)
	}
	d := read(t, b.Bytes())
	if len(d.outside) > 0 {
		t.Errorf("outside of the picture: %q", d.outside)
	}
	if len(d.boxes) != len(p.Nodes) {
		t.Errorf("%d boxes of %d nodes", len(d.boxes), len(p.Nodes))
	}
	for i, a := range d.boxes {
		for _, b := range d.boxes[:i] {
			if a[0] < b[0]+b[2] && b[0] < a[0]+a[2] && a[1] < b[1]+b[3] && b[1] < a[1]+a[3] {
				t.Errorf("two boxes overlap: %v, %v", a, b)
			}
		}
	}
	return d
}

func TestShapes(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7} {
		for _, others := range []int{0, 1, 12} {
			draw(t, ring(n, others))
		}
	}
	draw(t, &Picture{})
	draw(t, &Picture{Nodes: []Node{{ID: 1, Title: "alone"}}, Edges: []Edge{{From: 1, To: 9, Label: "waits for one that is not shown"}}})
	two := ring(2, 1)
	two.Circles = append(two.Circles, Circle{Heading: "the same again", IDs: []int{2, 1}}, Circle{Heading: "of nobody", IDs: []int{77}})
	draw(t, two)
}

// TestWords: what is drawn is said as well, and likely is told without colour.
func TestWords(t *testing.T) {
	var b bytes.Buffer
	if err := SVG(&b, ring(2, 1)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<title id="t">A load waits for itself</title>`,
		"The load of m waits for itself (certain): pid 1 modprobe -q --  waits for pid 2 modprobe -q -- long, waits in request_module for its helper. ",
		"for its helper (likely).", "pid 3 modprobe -q -- longlong waits for pid 1", `class="wait in likely"`, `role="img"`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}

// TestHostile draws names that others have chosen.
func TestHostile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"</text><script>alert(1)</script>", "\x1b[2J\x00\x07", "a&b\"c'd", strings.Repeat("w", 5000), "\ufffe\uffff", "]]>", "--><!--", "é漢字\u202e"} {
		p := ring(2, 2)
		i := r.IntN(len(p.Nodes))
		p.Nodes[i].Title, p.Nodes[i].Lines, p.Edges[1].Label, p.Heading, p.Circles[0].Heading = name, []string{name}, name[:min(len(name), 60)], "x", "y"
		var b bytes.Buffer
		if err := SVG(&b, p); err != nil {
			t.Fatal(err)
		}
		read(t, b.Bytes())
		if strings.Contains(b.String(), "<script") {
			t.Errorf("%q came through", name)
		}
	}
}

// TestMany: ten thousand waits are drawn in no time that matters, and no more than grows with them.
func TestMany(t *testing.T) {
	p := ring(3, 5000)
	begun := time.Now()
	var b bytes.Buffer
	if err := SVG(&b, p); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes in %v", b.Len(), time.Since(begun))
	if b.Len() > 6<<20 {
		t.Errorf("%d bytes", b.Len())
	}
}
