// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safeload/bpf"
	"safeload/docs/schema"
	"safeload/internal/kmodtest"
	"safeload/kmod"
)

// ways is a tree in which "fs-top" leads to top over an alias; top needs mid and low, mid has soft dependencies; cmd has an install
// command.
func ways(t testing.TB) *Tree {
	dir := t.TempDir()
	tree := kmodtest.Tree{
		Modules: map[string][]string{"top": {"mid", "low"}, "mid": {"low"}, "low": nil, "before": {"deeper"}, "deeper": nil, "after": nil, "cmd": nil, "other": nil},
		Aliases: [][2]string{{"fs_top", "top"}},
	}
	tree.Write(t, dir)
	conf := filepath.Join(dir, "ways.conf")
	if err := os.WriteFile(conf, []byte("softdep mid pre: before post: after\ninstall cmd modprobe other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return &Tree{context: kmod.New(kmod.Options{Dir: dir, ConfigPaths: []string{conf}, Cmdline: "/dev/null"})}
}

// loads are those of one process, one after the other.
func (s *scene) loads(ctx uint64, tid uint32, names ...string) {
	for i, name := range names {
		id := uint64(tid)<<8 + uint64(i)
		s.event(bpf.Event{Kind: bpf.LoadBegin, ID: id, Ctx: ctx, TID: tid, Ret: 3})
		s.event(bpf.Event{Kind: bpf.Init, ID: id, TID: tid, Name: name})
		s.event(bpf.Event{Kind: bpf.LoadEnd, ID: id, TID: tid})
	}
}

func TestWhy(t *testing.T) {
	s := newScene(t)
	ask := func(id uint64, name string, helper uint32) {
		s.event(bpf.Event{Kind: bpf.Request, ID: id, TID: 9, Name: name, Comm: "mount"})
		s.event(bpf.Event{Kind: bpf.Child, ID: id, TID: helper})
	}
	ask(1, "fs-top", 20)
	s.loads(1, 20, "low", "deeper", "before", "mid", "after", "top", "stranger")
	ask(2, "other", 30)
	s.loads(2, 30, "other")
	ask(3, "cmd", 40)
	s.loads(3, 41, "other")
	// By hand: what it was called with is not known.
	s.loads(0, 50, "low", "deeper", "before", "mid", "after", "top")
	// Not in one run: of two devices that udev has loaded modules for.
	s.loads(0, 60, "low", "other", "mid")
	tl := s.read()
	tree := ways(t)
	tree.Explain(tl)
	tree.Close()
	var got []string
	for _, o := range tl.Loads {
		why := "-"
		if r := o.Why; r != nil {
			why = fmt.Sprintf("%s %s", r.How, r.Of)
			if !r.Sure {
				why += "?"
			}
		}
		got = append(got, fmt.Sprintf("%d %s: %s", o.TID, o.Module, why))
	}
	want := `20 low: dependency top?
20 deeper: dependency before?
20 before: softdep mid?
20 mid: dependency top?
20 after: softdep mid?
20 top: alias fs-top?
20 stranger: -
30 other: name other
41 other: command cmd
50 low: dependency mid?
50 deeper: dependency before?
50 before: softdep mid?
50 mid: dependency top?
50 after: softdep mid?
50 top: process 
60 low: process 
60 other: process 
60 mid: process `
	if g := strings.Join(got, "\n"); g != want {
		t.Errorf("got\n%s\nwant\n%s", g, want)
	}
	text, lines, html := writeAll(t, tl)
	for _, w := range []string{"asked for fs-top; likely an alias of it", "; likely a soft dependency of mid", "; by a process that the helper started, likely the install command of cmd"} {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
	if !strings.Contains(html, "likely a dependency of before") {
		t.Error("it is not in the picture")
	}
	if _, err := schema.Check("timeline", strings.NewReader(lines)); err != nil {
		t.Error(err)
	}
}

// TestWhyLog: a line of the log says it, and JSON by the schema.
func TestWhyLog(t *testing.T) {
	s := newScene(t)
	s.event(bpf.Event{Kind: bpf.Request, ID: 1, TID: 9, Name: "fs-top", Comm: "mount"})
	s.event(bpf.Event{Kind: bpf.Child, ID: 1, TID: 20})
	s.loads(1, 20, "low", "top")
	s.read()
	tree := ways(t)
	defer tree.Close()
	var got []string
	err := Log(bytes.NewReader(s.out.Bytes()), Now{}, func(tl *Timeline, e Entry) {
		if e.Load == nil {
			return
		}
		e.Load.Why = tree.Requested(e.Load)
		j, err := e.JSON(tl)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := schema.Check("log", bytes.NewReader(j)); err != nil {
			t.Error(err)
		}
		_, why, _ := strings.Cut(e.Message(), "asked for ")
		got = append(got, why)
	})
	if want := "fs-top: likely a dependency of top, fs-top: likely an alias of it"; err != nil || strings.Join(got, ", ") != want {
		t.Errorf("%v %q, want %q", err, got, want)
	}
}

// TestOpenTree: a record does not choose a directory elsewhere.
func TestOpenTree(t *testing.T) {
	for _, release := range []string{"", "..", ".", "../../tmp/x", "6.12/../../x"} {
		tree := OpenTree(release)
		if tree.context != nil {
			t.Errorf("%q was opened", release)
		}
		if tree.Requested(&Load{Module: "m", Asked: &Request{Name: "n"}}) != nil {
			t.Error("it knows something")
		}
		tree.Close()
	}
}
