// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"safeload/internal/rig/report"
	"safeload/internal/terminal"
)

// print writes the verdicts for people; what failed is followed by what the case said last.
func (r *run) print(verdicts []report.Verdict) {
	if r.Demo {
		return
	}
	again := 0
	for _, v := range verdicts {
		text := v.Text
		if v.First != "" {
			again++
			text += "; AT THE SECOND TRY, the first failed: " + v.First
		}
		fmt.Printf("%-4s %-11s %-18s %-8s %7s s  %s\n", v.Outcome, v.Kernel, v.Case, v.Phase, v.Seconds, text)
		if v.Outcome != report.Fail || v.Log == "" {
			continue
		}
		if text, err := os.ReadFile(v.Log); err == nil {
			for _, l := range ReadConsole(text).Said(v.Case, 25) {
				fmt.Println("       | " + l)
			}
		}
	}
	if again > 0 {
		r.say.line("%d of what passed did so at the second try only", again)
	}
	if r.wide() {
		return
	}
	for _, c := range r.cases {
		switch {
		case len(c.Matrix) == 0:
		case c.Matrix[0] == "none":
			r.say.line("left to --full: %s", c.Name)
		default:
			r.say.line("left to --full: %s, but for %s", c.Name, strings.Join(c.Matrix, " "))
		}
	}
}

// List writes the cases, the kernels and the machines.
func List(ctx context.Context, w io.Writer, o Options) error {
	r, err := newRun(Options{Repo: o.Repo, Cache: o.Cache})
	if err != nil {
		return err
	}
	defer r.clean()
	fmt.Fprintf(w, "%-18s %-10s %-28s %-14s %s\n", "CASE", "BOOT", "KERNELS", "MATRIX", "WHAT")
	for _, c := range r.all {
		matrix := strings.Join(c.Matrix, " ")
		if matrix == "" {
			matrix = "all of them"
		}
		fmt.Fprintf(w, "%-18s %-10s %-28s %-14s %s\n", c.Name, c.Group, strings.Join(c.Kernels, " "), matrix, c.What)
	}
	fmt.Fprintf(w, "\n%-18s %s\n", "KERNEL", "NEWEST SEEN")
	for _, k := range r.kernels {
		version, err := os.ReadFile(filepath.Join(o.Cache, "kernels", k.Memo()))
		if err != nil {
			version = []byte("not fetched yet")
		}
		fmt.Fprintf(w, "%-18s %s\n", k.Key, strings.TrimSpace(string(version)))
	}
	fmt.Fprintf(w, "\n%-18s %-8s %-5s %-8s %s\n", "MACHINE", "ARCH", "CPUS", "MEMORY", "CONSOLE")
	for _, m := range machines {
		fmt.Fprintf(w, "%-18s %-8s %-5d %-8d %s\n", m.Name, m.Arch, m.CPUs, m.Memory, m.Console)
	}
	return nil
}

// input keeps what is piped in: a serial port has no end of file, and drops what comes before somebody listens.
func (r *run) input(dir string) error {
	if terminal.Is(os.Stdin) {
		return nil
	}
	f, err := os.Create(filepath.Join(dir, "input"))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, os.Stdin)
	return err
}

// bootShell boots a guest with a prompt.
func (r *run) bootShell(ctx context.Context, g *Guest, slot *os.File) error {
	initrd := filepath.Join(g.dir, "initrd")
	if err := packTo(initrd, filepath.Join(g.dir, "root")); err != nil {
		return err
	}
	boot, err := r.bootArgs(g, initrd, "shell")
	if err != nil {
		return err
	}
	q, err := startQEMU(append(append(g.Machine.command(g.size), "-serial", "mon:stdio"), boot...), slot, true)
	if err != nil {
		return err
	}
	q.wait(ctx, g.limit, nil)
	return nil
}
