// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func init() { tools["evidence"] = evidence }

// evidence measures both errors of the guard: strangers' requests that begin at random before, at and after the moment
// at which an init falls asleep, and inits that wait for themselves.
//
//	vmtool evidence -strangers N -true N
//
// It uses slneed, which a kernel thread and a work item of slhub ask for, and a user who binds AF_ALG (crypto-slx is an
// alias of slneed); and slreq_e0 and slreq_e1, which ask for themselves by a kernel thread and by a work item. A line
// for each trial, then one for each kind: how many were refused, on suspicion or proven, went through, or hung.
func evidence(args []string) int {
	fs := flag.NewFlagSet("evidence", flag.ContinueOnError)
	strangers := fs.Int("strangers", 6, "strangers' requests")
	recursions := fs.Int("true", 2, "inits that wait for themselves")
	seed := fs.Uint64("seed", 0, "of the random moments; 0: any")
	if fs.Parse(args) != nil {
		return 2
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	e := trials{random: rand.New(rand.NewPCG(*seed, 0)), tally: make(map[string]map[string]int)}
	var err error
	if e.log, err = os.OpenFile("/dev/kmsg", os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
		return fatal("evidence: %v", err)
	}
	fmt.Println("seed", *seed)
	start := time.Now()
	// In turn: a run that is cut short has then counted both.
	for i := range max(*strangers, *recursions) {
		if i < *strangers {
			if err := e.stranger(i); err != nil {
				return fatal("evidence: stranger %d: %v", i, err)
			}
		}
		if i < *recursions {
			if err := e.recursion(i); err != nil {
				return fatal("evidence: recursion %d: %v", i, err)
			}
		}
	}
	for _, kind := range e.kinds {
		fmt.Printf("%s: %v\n", kind, e.tally[kind])
	}
	fmt.Printf("evidence: %d wrong, %d lost, %.0f s\n", e.wrong, e.lost, time.Since(start).Seconds())
	if e.wrong > 0 || e.lost > 0 {
		return 1
	}
	return 0
}

// trials are what was tried, and what came of it.
type trials struct {
	random      *rand.Rand
	log         *os.File
	kinds       []string
	tally       map[string]map[string]int // by kind and outcome
	wrong, lost int
}

func (e *trials) count(kind, outcome string, format string, args ...any) {
	if e.tally[kind] == nil {
		e.tally[kind] = make(map[string]int)
		e.kinds = append(e.kinds, kind)
	}
	e.tally[kind][outcome]++
	fmt.Printf("%s: %s (%s)\n", kind, outcome, fmt.Sprintf(format, args...))
}

// between is a random time of so many milliseconds.
func (e *trials) between(from, to int) time.Duration {
	return time.Duration(from+e.random.IntN(to-from+1)) * time.Millisecond
}

// The init sleeps so long for a set time, and then in a wait whose end nothing tells. Both are long beside the patience
// of 1 s that the case sets.
const (
	sets  = 1000 * time.Millisecond
	waits = 2500 * time.Millisecond
)

// stranger is one request that no init waits for.
func (e *trials) stranger(i int) error {
	by := []string{"thread", "work", "thread", "work", "user"}[i%5]
	need := []string{"own", "irq"}[i/5%2]
	when := []string{"before", "at", "after"}[i%3]
	off := map[string]time.Duration{
		"before": e.between(-900, -100), "at": e.between(-60, 60), "after": e.between(100, 1000),
	}[when]
	e.mark()
	load, err := begin("slneed", "need="+need, fmt.Sprintf("late=%d", sets.Milliseconds()), fmt.Sprintf("ms=%d", waits.Milliseconds()))
	if err != nil {
		return err
	}
	if !within(20*time.Second, func() bool { return initstate("slneed") == "coming" }) {
		return errors.New("slneed's init does not begin")
	}
	time.Sleep(sets + off)
	var bind *process
	if by == "user" {
		// A user's algorithm, which a thread of the crypto manager makes, needs another, whose name is slneed's alias.
		if bind, err = begin("/proc/self/exe", "algbind", "1000", "cbc(slx)"); err != nil {
			return err
		}
	} else if err := os.WriteFile("/sys/module/slhub/parameters/by_"+by, []byte("slneed"), 0); err != nil {
		return err
	}
	outcome := "went through"
	if bind != nil {
		_ = within(20*time.Second, func() bool { return bind.ends(0) || initstate("slneed") != "coming" })
		if initstate("slneed") == "coming" {
			outcome = "failed" // who has not waited has not asked for it
		}
	}
	if !load.ends(30 * time.Second) {
		outcome = "hung"
	}
	returned := func() bool {
		if bind != nil {
			return bind.ends(0)
		}
		return e.said("slhub: slneed returned")
	}
	if !within(10*time.Second, returned) {
		outcome = "hung"
	}
	switch {
	case e.said("safeload: refused"):
		outcome = "refused"
	case load.code() != 0, bind == nil && !e.said("slhub: slneed returned 0"):
		outcome = "failed"
	}
	if outcome != "went through" {
		e.wrong++
		fmt.Print(e.text())
	}
	e.count("stranger, "+when+", by "+by, outcome, "need=%s, asked %s ms after the init began to wait; meant: %v", need, e.apart(), off)
	return e.unload("slneed")
}

// recursion is one init that waits for itself.
func (e *trials) recursion(i int) error {
	module := fmt.Sprintf("slreq_e%d", i%2)
	late := e.between(0, 1000)
	e.mark()
	start := time.Now()
	load, err := begin(module, fmt.Sprintf("delay_ms=%d", late.Milliseconds()))
	if err != nil {
		return err
	}
	outcome := "missed"
	if load.ends(late + 15*time.Second) {
		switch {
		case load.code() != 0 || !e.said("safeload: refused "+module):
		case e.said("suspected"):
			outcome = "refused, suspected"
		default:
			outcome = "refused, proven"
		}
	} else {
		outcome = "hung"
		endHelpers()
		load.ends(20 * time.Second)
	}
	if !strings.HasPrefix(outcome, "refused") {
		e.wrong++
		fmt.Print(e.text())
	}
	e.count("true, by "+[]string{"thread", "work"}[i%2], outcome, "asked after %d ms, ended %d ms later", late.Milliseconds(), (time.Since(start) - late).Milliseconds())
	return e.unload(module)
}

// unload removes a module that a trial loaded. A helper that still runs may have loaded it anew.
func (e *trials) unload(module string) error {
	err := error(nil)
	if !within(20*time.Second, func() bool {
		err = unix.DeleteModule(module, unix.O_NONBLOCK)
		return err == nil || errors.Is(err, unix.ENOENT)
	}) {
		e.lost++
		return fmt.Errorf("unload %s: %w", module, err)
	}
	return nil
}

// mark forgets what the kernel's log has said so far, and how many lines a minute
// safeload has written there, which are limited.
func (e *trials) mark() {
	_ = os.Remove("/run/safeload/said")
	_, _ = e.log.Seek(0, 2)
	logged = logged[:0]
}

// logged are the records since the mark, as /dev/kmsg gives them (Documentation/ABI/testing/dev-kmsg).
var logged []byte

func (e *trials) text() string {
	var record [8192]byte
	for {
		n, err := unix.Read(int(e.log.Fd()), record[:])
		if err != nil || n <= 0 {
			return string(logged)
		}
		logged = append(logged, record[:n]...)
	}
}

func (e *trials) said(what string) bool { return strings.Contains(e.text(), what) }

var record = regexp.MustCompile(`(?m)^\d+,\d+,(\d+),[^;]*;(slneed: waits|slhub: asks)`)

// apart is by how many milliseconds the request came after the init began to wait, by the log.
func (e *trials) apart() string {
	at := make(map[string]int)
	for _, m := range record.FindAllStringSubmatch(e.text(), -1) {
		at[m[2]], _ = strconv.Atoi(m[1])
	}
	if len(at) < 2 {
		return "?"
	}
	return strconv.Itoa((at["slhub: asks"] - at["slneed: waits"]) / 1000)
}

// process is a program that was started.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	done  bool
}

// begin starts modprobe with these arguments, or the program that the first one is the path of.
func begin(args ...string) (*process, error) {
	if !strings.HasPrefix(args[0], "/") {
		args = append([]string{"/safe/modprobe"}, args...)
	}
	p := &process{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	return p, nil
}

// ends waits for its end.
func (p *process) ends(most time.Duration) bool {
	if most <= 0 {
		select {
		case <-p.ended:
			p.done = true
		default:
		}
		return p.done
	}
	select {
	case <-p.ended:
		p.done = true
	case <-time.After(most):
	}
	return p.done
}

func (p *process) code() int {
	if !p.done {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// within waits for something to hold.
func within(most time.Duration, holds func() bool) bool {
	for end := time.Now().Add(most); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// endHelpers ends the modprobes that the kernel has started.
func endHelpers() {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, _ := os.ReadFile(file)
		if bytes.Contains(line, []byte("modprobe\x00-q\x00--\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			_ = unix.Kill(pid, unix.SIGTERM)
		}
	}
}
