// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runSH is what is carried to a machine, as far as its script needs it, in a directory of its own.
func runSH(t *testing.T) (here string, run func(args ...string) (string, error)) {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("no busybox here, with which run.sh runs")
	}
	here = t.TempDir()
	script, err := filepath.Abs("../../scripts/vm/guest/run.sh")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(here, "t/cases"), 0o755), os.Symlink(busybox, filepath.Join(here, "t/busybox")),
		os.WriteFile(filepath.Join(here, "run.sh"), text, 0o755)); err != nil {
		t.Fatal(err)
	}
	return here, func(args ...string) (string, error) {
		// As it starts itself, once it is known to be root's: nothing here may need to be.
		cmd := exec.CommandContext(t.Context(), busybox, append([]string{"sh", filepath.Join(here, "run.sh")}, args...)...)
		cmd.Env = append(os.Environ(), "SAFELOAD_RUN=yes")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What follow prints from two offsets is one whole, and it ends with the run.
func TestFollow(t *testing.T) {
	here, run := runSH(t)
	const said = "#T# 1|safe|x\n#R# a|check|pass|1|x\n#END#\n"
	put(t, filepath.Join(here, "console"), said)
	for from, want := range map[string]string{"0": said, "5": said[5:], "39": said[39:], "40": said[40:], "41": "", "900": ""} {
		out, err := run("follow", from)
		if err != nil || out != "#F#\n"+want {
			t.Errorf("from %s: %q, %v", from, out, err)
		}
	}
	// A process of that number in another boot is not the run.
	put(t, filepath.Join(here, "pid.run"), "1\n")
	put(t, filepath.Join(here, "boot.run"), "another\n")
	if out, err := run("follow", "0"); err != nil || out != "#F#\n"+said {
		t.Errorf("after a reboot: %q, %v", out, err)
	}
	if out, err := run("stop"); err != nil || out != "" {
		t.Errorf("stop, after a reboot: %q, %v", out, err)
	}
}

// After a reboot only directories are left of a run: the mounts and the settings that are there now are the machine's.
func TestUndo(t *testing.T) {
	here, run := runSH(t)
	left, full := filepath.Join(here, "left"), filepath.Join(here, "full")
	if err := errors.Join(os.Mkdir(left, 0o755), os.MkdirAll(filepath.Join(full, "x"), 0o755)); err != nil {
		t.Fatal(err)
	}
	undo := filepath.Join(here, "undo")
	put(t, undo, "knob|no/such|value\nrmdir|"+left+"|\numount|/no/such|\nrmdir|"+full+"|\nrmdir|/no/such|\n")
	put(t, filepath.Join(here, "boot"), "another\n")
	if out, err := run("clean"); err == nil || !strings.Contains(out, "in use") {
		t.Errorf("clean, before undo: %q, %v", out, err)
	}
	out, _ := run("undo")
	if strings.Count(out, "#T# left: ") != 1 || !strings.Contains(out, "#T# left: "+full+"\n") {
		t.Errorf("%q", out)
	}
	for _, gone := range []string{left, undo} {
		if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", gone)
		}
	}
	if out, err := run("clean"); err != nil || out != "" {
		t.Errorf("clean: %q, %v", out, err)
	}
	if _, err := os.Stat(here); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", here)
	}
}

// In the same boot, what the cases have started ends, and nothing else.
func TestUndoEnds(t *testing.T) {
	here, run := runSH(t)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Skipf("no number of this boot: %v", err)
	}
	put(t, filepath.Join(here, "boot"), string(boot))
	put(t, filepath.Join(here, "undo"), "")
	start := func(env string) *exec.Cmd {
		cmd := exec.Command("sleep", "600")
		cmd.Env = append(os.Environ(), "BEFORE=x", env, "AFTER=y")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	ours, others := start("SAFELOAD_CASES="+here), start("SAFELOAD_CASES="+here+"x")
	ended := make(chan struct{})
	go func() { _ = ours.Wait(); close(ended) }()
	if out, err := run("undo"); err != nil || strings.Contains(out, "left: ") {
		t.Errorf("%q, %v", out, err)
	}
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Error("what the cases have started was not ended")
	}
	if err := others.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("what is another's: %v", err)
	}
}

// An archive for another kernel than this one's changes nothing.
func TestOtherKernel(t *testing.T) {
	here, run := runSH(t)
	put(t, filepath.Join(here, "about"), "arm-0.1|bundle|0.1.2|self\n")
	put(t, filepath.Join(here, "skips"), "")
	out, err := run("safe")
	if err == nil || !strings.Contains(out, "the archive is for another") || strings.Contains(out, "#T#") {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(here, "undo")); !errors.Is(err, os.ErrNotExist) {
		t.Error("it began")
	}
	if out, err := run("nonsense"); err == nil {
		t.Errorf("%q", out)
	}
}
