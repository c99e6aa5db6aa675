// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"safeload/internal/rig/report"
)

// A Guest is one boot: some cases of one group, with kmod as the helper or with safeload.
type Guest struct {
	Kernel  Kernel
	Machine Machine
	Group   string
	Mode    Mode
	Cases   []*Case

	dir      string
	kernel   Prepared
	size     size
	append   string
	spare    string        // the machine's, or empty where the kernel is to be as it comes
	limit    time.Duration // of the host's time
	fills    bool          // takes what others leave of the processors: its own clock does not mind
	again    bool          // has failed once: booted by itself, as what a saved guest has in its memory is the same each time
	resumed  bool
	ending   ending
	took     time.Duration
	cpu      time.Duration // QEMU's
	costs    *costs
	verdicts []report.Verdict
}

func (g *Guest) name() string { return g.label() + "-" + g.Group + "-" + string(g.Mode) }

// label names the kernel in reports, and the board that it runs on.
func (g *Guest) label() string {
	if g.Machine.Board {
		return g.Kernel.Key + "@" + g.Machine.Name
	}
	return g.Kernel.Key
}

func (g *Guest) log() string { return filepath.Join(g.dir, "log.txt") }

// standsStill says whether the guest must not come to /init.
func (g *Guest) standsStill() bool {
	for _, c := range g.Cases {
		if c.StandsFor == g.Mode {
			return true
		}
	}
	return false
}

// helperless says whether a guest of these cases boots without a helper for the kernel's requests.
func helperless(cases []*Case) bool {
	return slices.ContainsFunc(cases, func(c *Case) bool { return c.HelperNone })
}

// fresh says whether the guest must boot: what it is about happens before a saved guest's cases begin.
func (g *Guest) fresh() bool {
	for _, c := range g.Cases {
		if c.Fresh || c.StandsFor != "" {
			return true
		}
	}
	return g.Machine.Board || g.append != ""
}

// signed says whether a case is about the signatures of the kernel's modules.
func (g *Guest) signed() bool {
	return slices.ContainsFunc(g.Cases, func(c *Case) bool { return c.Signed })
}

// idles says whether the guest does little but wait by the real clock for what must hang.
func (g *Guest) idles() bool {
	if g.Mode != Stock || g.size.icount != "" || g.Machine.Board {
		return false
	}
	for _, c := range g.Cases {
		if c.has["stock"] {
			return false
		}
	}
	return true
}

// slot is the kind of slot that the guest takes.
func (g *Guest) slot() string {
	switch {
	case g.idles():
		return idling
	case g.fills:
		return filling
	}
	return computing
}

// qemu is a running QEMU.
type qemu struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when it is over
	err    error
	stderr bytes.Buffer
}

// startQEMU starts it with the slot's file, which lives as long as the guest; whoever ends the rig ends the guest.
func startQEMU(args []string, slot *os.File, stdio bool) (*qemu, error) {
	q := &qemu{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	q.cmd.ExtraFiles = []*os.File{slot}
	q.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	q.cmd.Stdout, q.cmd.Stderr = io.Discard, &q.stderr
	if stdio {
		q.cmd.Stdin, q.cmd.Stdout, q.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	}
	started := make(chan error)
	go func() {
		// The signal comes when the thread that started the process ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := q.cmd.Start()
		started <- err
		if err == nil {
			q.err = q.cmd.Wait()
			close(q.ended)
		}
	}()
	return q, <-started
}

func (q *qemu) over() bool {
	select {
	case <-q.ended:
		return true
	default:
		return false
	}
}

// cpu is the processor's time that it took, once it is over.
func (q *qemu) cpu() time.Duration {
	if !q.over() || q.cmd.ProcessState == nil {
		return 0
	}
	return q.cmd.ProcessState.UserTime() + q.cmd.ProcessState.SystemTime()
}

// stop ends it, and waits until it is over.
func (q *qemu) stop() {
	_ = q.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-q.ended:
	case <-time.After(10 * time.Second):
		_ = q.cmd.Process.Kill()
		<-q.ended
	}
}

// An ending is how a guest came to its end.
type ending int

const (
	byItself ending = iota
	timedOut
	asIntended // stopped, because all that was to be seen had been seen
)

// wait ends it when the time is up, or when done says so. The time does not count in which others had the processors.
func (q *qemu) wait(ctx context.Context, limit time.Duration, done func() bool) ending {
	began, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-q.ended:
			return byItself
		case <-ctx.Done():
			q.stop()
			return byItself
		case <-tick.C:
			if time.Since(began)-q.starved() > limit {
				q.stop()
				return timedOut
			}
			if done != nil && done() {
				q.stop()
				return asIntended
			}
		}
	}
}

// cmdline is the kernel's command line.
func (g *Guest) cmdline(init string) string {
	return strings.Join(strings.Fields(fmt.Sprintf("console=%s quiet loglevel=3 panic=-1 %s %s -- %s", g.Machine.Console, g.spare, g.append, init)), " ")
}

// bootArgs are QEMU's for the kernel and an initramfs.
func (r *run) bootArgs(g *Guest, initrd, init string) ([]string, error) {
	args := []string{"-kernel", g.kernel.Image, "-initrd", initrd, "-append", g.cmdline(init)}
	if g.Machine.DTB != "" {
		dtb, err := r.kitchen.deviceTree(g.kernel, g.Machine)
		if err != nil {
			return nil, err
		}
		args = append(args, "-dtb", dtb)
	}
	return args, nil
}

// boot runs the guest from its kernel's start.
func (r *run) boot(ctx context.Context, g *Guest, slot *os.File) (string, error) {
	initrd := filepath.Join(g.dir, "initrd")
	if err := packTo(initrd, filepath.Join(g.dir, "root")); err != nil {
		return "", err
	}
	defer os.Remove(initrd)
	boot, err := r.bootArgs(g, initrd, r.words(g))
	if err != nil {
		return "", err
	}
	console := filepath.Join(g.dir, "console")
	args := append(append(g.Machine.command(g.size), "-serial", "file:"+console), boot...)
	q, err := startQEMU(args, slot, false)
	if err != nil {
		return "", err
	}
	var done func() bool
	if g.standsStill() {
		done = stoodLongEnough(console)
	} else if g.Machine.Halts {
		done = func() bool { return tailHas(console, "reboot: ") || tailHas(console, "#END#") }
	}
	r.attend(ctx, g, q, done)
	return g.why(q), nil
}

// powerOffTicks is how many seconds a guest has to power off. One in which a device's
// lock is held for ever does not: device_shutdown takes it.
const powerOffTicks = 5

// attend waits for the guest's end, and keeps what it cost.
func (r *run) attend(ctx context.Context, g *Guest, q *qemu, done func() bool) {
	g.costs = &costs{console: filepath.Join(g.dir, "console"), pid: q.cmd.Process.Pid, by: map[string]time.Duration{}}
	said := 0
	g.ending = q.wait(ctx, g.limit, func() bool {
		g.costs.look()
		if g.fills {
			q.giveWay()
		}
		if tailHas(g.costs.console, "#END#") {
			said++
		}
		return done != nil && done() || said > powerOffTicks
	})
	g.cpu = q.cpu()
	if text, err := os.ReadFile(g.costs.console); err == nil {
		g.costs.take(text, g.cpu)
	}
}

// why says why a verdict that is owed is not there.
func (g *Guest) why(q *qemu) string {
	if g.ending == timedOut {
		return fmt.Sprintf("the guest was stopped after %.0f s", g.limit.Seconds())
	}
	said := strings.TrimSpace(q.stderr.String())
	if said != "" {
		said = " (qemu: " + said[strings.LastIndex(said, "\n")+1:] + ")"
	}
	return "the guest ended without a verdict" + said
}

// stoodLongEnough says when a guest may be ended that is to stand still: more than 30 s of its own time after the init
// of the early module has begun.
func stoodLongEnough(console string) func() bool {
	var began time.Time
	return func() bool {
		if began.IsZero() {
			if tailHas(console, "slreq_h0: init") {
				began = time.Now()
			}
			return false
		}
		return time.Since(began) > 45*time.Second
	}
}

func tailHas(file, text string) bool {
	b, err := os.ReadFile(file)
	return err == nil && bytes.Contains(b, []byte(text))
}

func packTo(file, root string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = Pack(f, root, nil)
	return errors.Join(err, f.Close(), os.RemoveAll(root))
}

// run takes the guest from its root to its verdicts.
func (r *run) guest(ctx context.Context, g *Guest) {
	if err := os.MkdirAll(g.dir, 0o755); err != nil {
		g.failAll(err.Error())
		return
	}
	g.resumed = r.saves && !g.again && !g.fresh()
	if err := r.kitchen.root(ctx, g.kernel, g.dir, g.Mode, g.Cases, g.resumed && !g.signed()); err != nil {
		g.failAll("no image could be made: " + err.Error())
		return
	}
	r.say.waits(g)
	slot, err := r.place(ctx, g)
	if err != nil {
		g.failAll("no room for a guest: " + err.Error())
		return
	}
	r.say.started(g)
	began := time.Now()
	var end string
	if g.resumed {
		end, err = r.resume(ctx, g, slot)
		g.resumed = !errors.Is(err, errNoPort)
	}
	if !g.resumed {
		end, err = r.boot(ctx, g, slot)
	}
	_ = slot.Close()
	g.took = time.Since(began)
	if err != nil {
		g.failAll("the guest could not be run: " + err.Error())
		return
	}
	text, _ := os.ReadFile(filepath.Join(g.dir, "console"))
	text = bytes.ReplaceAll(text, []byte("\r"), nil)
	_ = os.WriteFile(g.log(), text, 0o644)
	_ = os.Remove(filepath.Join(g.dir, "console"))
	g.judge(ReadConsole(text), end)
}

func (g *Guest) verdict(name, phase string, o report.Outcome, seconds, text string) report.Verdict {
	return report.Verdict{Kernel: g.label(), Version: g.kernel.Release, Case: name, Phase: phase, Outcome: o,
		Seconds: seconds, Text: text, Log: g.log()}
}

func (g *Guest) failAll(why string) {
	for _, c := range g.Cases {
		for _, p := range c.Phases(g.Mode) {
			g.verdicts = append(g.verdicts, g.verdict(c.Name, p, report.Fail, "0", why))
		}
	}
}

// judge reads the verdicts: whatever is owed and not there when the guest has ended is a failure.
func (g *Guest) judge(console Console, end string) {
	if g.standsStill() {
		g.judgeStill(console)
		return
	}
	took := fmt.Sprintf("%.0f", g.took.Seconds())
	for _, c := range g.Cases {
		for _, p := range c.Phases(g.Mode) {
			found := console.Verdicts(c.Name, p)
			if len(found) == 0 {
				g.verdicts = append(g.verdicts, g.verdict(c.Name, p, report.Fail, took, end))
			}
			for _, v := range found {
				v.Kernel, v.Version, v.Log = g.label(), g.kernel.Release, g.log()
				g.verdicts = append(g.verdicts, v)
			}
		}
	}
	if !console.Ended() {
		g.verdicts = append(g.verdicts, g.verdict(g.Group, "boot-"+string(g.Mode), report.Fail, took, end))
	}
}

// judgeStill: the guest was to be stopped before it came to /init, more than 30 s after the module's init began.
func (g *Guest) judgeStill(console Console) {
	at, began := console.InitBegan()
	outcome, text := report.Fail, ""
	switch {
	case console.Reached() || console.Ended():
		text = "the guest was expected to stand still before /init, but went on"
	case !began:
		text = "the module's init was not seen to begin"
	case g.ending == byItself:
		text = "the guest was expected to stand still before /init, but ended"
	case g.ending == timedOut && at > 100:
		text = fmt.Sprintf("the module's init began so late (%d s) that 30 s were not seen", at)
	default:
		outcome = report.Pass
		text = fmt.Sprintf("kmod: the boot stood still from %d s on, for more than 30 s, and never came to /init", at)
	}
	for _, c := range g.Cases {
		for _, p := range c.Phases(g.Mode) {
			g.verdicts = append(g.verdicts, g.verdict(c.Name, p, outcome, fmt.Sprint(at), text))
		}
	}
}
