// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// lines is a context whose configuration has n lines made by line.
func lines(tb testing.TB, n int, line func(i int) string) *Context {
	tb.Helper()
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
		b.WriteByte('\n')
	}
	conf := filepath.Join(tb.TempDir(), "many.conf")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return New(Options{Dir: tb.TempDir(), ConfigPaths: []string{conf}, Cmdline: os.DevNull})
}

// growing are configurations of which something adds up line by line.
var growing = []struct {
	name string
	line func(i int) string
	use  func(tb testing.TB, c *Context, n int)
}{
	{"options", func(i int) string { return fmt.Sprintf("options m p%d=1", i) }, func(tb testing.TB, c *Context, n int) {
		o := c.ByName("m").Options()
		if !strings.HasPrefix(o, "p0=1 p1=1 ") || !strings.HasSuffix(o, fmt.Sprintf(" p%d=1", n-1)) || strings.Count(o, " ") != n-1 {
			tb.Errorf("%d options lines give %.40q..., %d bytes", n, o, len(o))
		}
	}},
	{"one alias", func(i int) string { return fmt.Sprintf("alias a m%d", i) }, func(tb testing.TB, c *Context, n int) {
		list, err := c.Lookup("a")
		if err != nil || len(list) != n || list[n-1].Name != fmt.Sprintf("m%d", n-1) {
			tb.Fatalf("%d alias lines give %d modules, %v", n, len(list), err)
		}
		again, _ := c.Lookup("a")
		for i, m := range list {
			if again[i] != m {
				tb.Fatalf("%s is another module when it is looked up again", m.Name)
			}
			if steps := m.Plan(false, ""); len(steps) != 1 || !steps[0].Required {
				tb.Fatalf("the plan of %s: %v", m.Name, steps)
			}
		}
	}},
	{"soft dependencies", func(i int) string { return fmt.Sprintf("install m%d true", i) }, func(tb testing.TB, c *Context, n int) {
		var deps strings.Builder
		for i := range min(n, 2000) {
			fmt.Fprintf(&deps, " m%d", i)
		}
		c.Config.Softdeps = append(c.Config.Softdeps, Directive{"top", "pre:" + deps.String() + " post: m1"})
		if steps := c.ByName("top").Plan(false, ""); len(steps) != min(n, 2000)+1 || steps[0].Required || !steps[len(steps)-1].Required {
			tb.Fatalf("%d soft dependencies make %d steps", min(n, 2000), len(steps))
		}
	}},
}

// TestGrowth: forty times the lines make about forty times the memory, where a
// sum that is written anew for each line makes sixteen hundred times.
func TestGrowth(t *testing.T) {
	for _, g := range growing {
		t.Run(g.name, func(t *testing.T) {
			const few, many = 1000, 40000
			cost := func(n int) uint64 {
				c := lines(t, n, g.line)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				g.use(t, c, n)
				runtime.ReadMemStats(&after)
				return after.TotalAlloc - before.TotalAlloc
			}
			least, most := cost(few), cost(many)
			if most > 80*least+1<<20 {
				t.Errorf("%d lines allocate %d bytes, %d lines %d", few, least, many, most)
			}
		})
	}
}

// TestMasked: of files with one name the first directory's counts, however many
// there are, and they are read in the order of their names.
func TestMasked(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for i := range 300 {
		name := fmt.Sprintf("%03d.conf", (i*7)%300)
		for where, dir := range map[string]string{"first": first, "second": second} {
			if where == "first" && i%3 == 0 {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, "options m %s%s=1\n", where, name[:3]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := New(Options{Dir: t.TempDir(), ConfigPaths: []string{first, second}, Cmdline: os.DevNull})
	got := strings.Fields(c.ByName("m").Options())
	if len(got) != 300 {
		t.Fatalf("%d files count, not 300", len(got))
	}
	inFirst := 0
	for i, o := range got {
		where, number, _ := strings.Cut(o, fmt.Sprintf("%03d=1", i))
		if number != "" || where != "first" && where != "second" {
			t.Fatalf("option %d is %s", i, o)
		}
		if where == "first" {
			inFirst++
		}
	}
	if inFirst != 200 {
		t.Errorf("%d files of the first directory count, not 200", inFirst)
	}
}

// BenchmarkLines: the time for each line must not grow with their number.
func BenchmarkLines(b *testing.B) {
	for _, g := range growing {
		for _, n := range []int{1000, 40000} {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(g.name, " ", "-"), n), func(b *testing.B) {
				c := lines(b, n, g.line)
				for b.Loop() {
					g.use(b, c, n)
					c.Forget()
				}
			})
		}
	}
}
