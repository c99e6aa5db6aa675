// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safeload/audit"
	"safeload/bpf"
	"safeload/finit"
	"safeload/finit/unpack"
	"safeload/guard"
	"safeload/guard/graph"
	"safeload/kmod"
)

// image is the root of an image with a module tree that has no indexes, and a
// configuration.
func image(t *testing.T) string {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "lib/modules/V"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "etc/modprobe.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "alias mine other\ninstall other echo $CMDLINE_OPTS\noptions other a=1\n"
	if err := os.WriteFile(filepath.Join(root, "etc/modprobe.d/x.conf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestRun(t *testing.T) {
	root := image(t)
	for _, c := range []struct {
		args string
		code int
		out  string
	}{
		{"", 2, ""},
		{"-n mine b=2", 0, "run echo $CMDLINE_OPTS a=1 b=2\n"},
		{"-n nonesuch", 4, ""},
		{"nonesuch", 4, ""},
		{"-r nonesuch", 4, ""},
		{"mine", 0, ""},
	} {
		var out, errs strings.Builder
		code := run(append([]string{"-d", root, "-S", "V"}, strings.Fields(c.args)...), &out, &errs)
		if code != c.code || out.String() != c.out {
			t.Errorf("%q: exit code %d, want %d; printed %q, want %q; errors %q", c.args, code, c.code, out.String(), c.out, errs.String())
		}
	}
}

// TestPackages uses what each package is for, with types that can be named here.
func TestPackages(t *testing.T) {
	c := kmod.New(kmod.Options{Dir: t.TempDir(), NoConfig: true, Cmdline: os.DevNull})
	defer c.Close()
	if _, err := c.Lookup("nonesuch"); !errors.Is(err, kmod.ErrNotFound) {
		t.Errorf("kmod: %v", err)
	}
	var e *finit.Error
	loader := finit.Loader{Unpack: unpack.InProcess}
	if err := loader.Load(filepath.Join(t.TempDir(), "no.ko"), "no", "", 0); !errors.As(err, &e) || e.Op != "open" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("finit: %v", err)
	}
	g := guard.New(guard.Options{Request: "x", NoConfig: true, Unpack: unpack.InProcess, Dir: t.TempDir(), Log: func(string) {}})
	defer g.Close()
	did := false
	if err := g.Submit(guard.Load{Module: "no_such_module", Path: "no.ko"}, func() error { did = true; return nil }); err != nil || !did {
		t.Errorf("guard: %v, %v", did, err)
	}
	var waits graph.System
	waits.Add(1, graph.Wait{For: []graph.ID{2}, Certainty: graph.Certain, Why: "asks"})
	waits.Add(2, graph.Wait{For: []graph.ID{1}, Certainty: graph.Certain, Why: "loads"})
	if circle := waits.Stuck(graph.Certain).Cycle(1); len(circle) != 2 {
		t.Errorf("guard/graph: %v", circle)
	}
	if _, err := audit.Run(t.Context(), audit.Options{Dir: t.TempDir(), Config: c.Config}); !errors.Is(err, audit.ErrNoModules) {
		t.Errorf("audit: %v", err)
	}
	if bpf.Now() <= 0 {
		t.Error("bpf: no time since boot")
	}
}
