// SPDX-License-Identifier: Apache-2.0

// Package tracefs makes the probe's events without BPF, from a tracing
// instance of its own with kprobe events (Documentation/trace/kprobetrace.rst),
// on kernels with ftrace. It sees less, and says what; it cannot send a signal
// in the waiter's own context, which its reader then does.
//
// Names and comms that anybody may choose reach the trace as they are, so a
// line is only taken when it has the shape of a whole one, and events that
// print a string of any length that users choose (a requested name, a file
// that is executed) are not enabled at all.
package tracefs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
)

// Source is a tracing instance that is being read.
type Source struct {
	dir      string // of the instance
	tracefs  string
	group    string
	kprobes  []string
	pipe     int
	wake     [2]int
	deadline time.Time
	buf      []byte
	queue    []bpf.Event
	state    state
	missing  []string
}

// arguments are the registers of a function's arguments, as kprobe events
// name them: $argN is refused on 32-bit ARM.
var arguments = map[string][2]string{
	"arm":   {"%r0", "%r1"},
	"arm64": {"%x0", "%x1"},
	"amd64": {"%di", "%si"},
}

// fileWords are as many words of a struct file as may hold f_inode.
const fileWords = 16

type kprobe struct {
	name      string
	functions []string // the first that can be had
	args      string
	required  bool
	without   string
}

func kprobes() []kprobe {
	a := arguments[runtime.GOARCH]
	word := "x" + strconv.Itoa(strconv.IntSize)
	size := strconv.IntSize / 8
	file := make([]string, fileWords)
	for i := range file {
		file[i] = fmt.Sprintf("w%d=+%d(%s):%s", i, i*size, a[0], word)
	}
	cookie := fmt.Sprintf("cookie=-%d(%s):%s", 3*size, a[0], word)
	return []kprobe{
		{"request", []string{"call_usermodehelper_exec"}, "sub=" + a[0] + ":" + word + " wait=" + a[1] + ":x32", true, ""},
		{"child", []string{"call_usermodehelper_exec_async"}, "sub=" + a[0] + ":" + word, true, ""},
		{"name", []string{"finished_loading"}, "name=+0(" + a[0] + "):string", true, ""},
		{"file", bpf.OwnFile(), strings.Join(file, " "), false, "waits for the same file (before 6.5 there are none)"},
		{"soft", []string{"wait_for_completion_interruptible"}, cookie, false, "waits for the same file"},
		{"hard", []string{"wait_for_completion"}, cookie, false, "waits for the same file that no signal ends"},
	}
}

var tracepoints = []string{
	"syscalls/sys_enter_finit_module", "syscalls/sys_exit_finit_module",
	"syscalls/sys_enter_init_module", "syscalls/sys_exit_init_module",
	"module/module_load", "sched/sched_process_fork", "sched/sched_process_exit",
}

// Open makes the instance. It needs root, a mounted tracefs and a kernel with
// CONFIG_KPROBE_EVENTS and CONFIG_FTRACE_SYSCALLS; without these it returns a
// [bpf.Unavailable].
func Open() (*Source, error) {
	root := ""
	for _, d := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if _, err := os.Stat(d + "/instances"); err == nil {
			root = d
			break
		}
	}
	if root == "" {
		return nil, &bpf.Unavailable{Missing: []string{"tracefs with instances (root, and mount -t tracefs tracefs /sys/kernel/tracing)"}}
	}
	if arguments[runtime.GOARCH][0] == "" {
		return nil, &bpf.Unavailable{Missing: []string{"register names of " + runtime.GOARCH}}
	}
	if err := bpf.KprobesSafe(); err != nil {
		return nil, err
	}
	s := &Source{tracefs: root, group: "safeload_" + strconv.Itoa(os.Getpid()), pipe: -1, wake: [2]int{-1, -1},
		missing: []string{"names of requests", "requests by kernel threads and work items of an init"}}
	s.dir = filepath.Join(root, "instances", s.group)
	if err := s.setUp(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Source) setUp() error {
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		s.dir = ""
		return s.lacking("a tracing instance", err)
	}
	if err := s.put("trace_clock", "boot"); err != nil {
		return s.lacking("the boot clock in tracing", err)
	}
	_ = s.put("buffer_size_kb", "256") // the default serves as well
	for _, k := range kprobes() {
		var err error
		for _, f := range k.functions {
			def := "p:" + s.group + "/" + k.name + " " + f + " " + k.args
			if err = write(filepath.Join(s.tracefs, "kprobe_events"), def, os.O_APPEND); err == nil {
				break
			}
		}
		if err == nil {
			s.kprobes = append(s.kprobes, k.name)
			err = s.put("events/"+s.group+"/"+k.name+"/enable", "1")
		}
		if err != nil && k.required {
			return s.lacking("kprobe event on "+strings.Join(k.functions, " or "), err)
		}
		if err != nil {
			s.missing = append(s.missing, k.without+" ("+strings.Join(k.functions, " or ")+": "+err.Error()+")")
		}
	}
	for _, t := range tracepoints {
		if err := s.put("events/"+t+"/enable", "1"); err != nil {
			return s.lacking("tracepoint "+t, err)
		}
	}
	var err error
	if s.pipe, err = unix.Open(s.dir+"/trace_pipe", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open %s/trace_pipe: %w", s.dir, err)
	}
	if err := unix.Pipe2(s.wake[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	return nil
}

// lacking says what cannot be had, and that it is for a lockdown, if it is: its
// files cannot be opened then (tracing_check_open_get_tr in
// kernel/trace/trace.c), which an instance that cannot be made does not say.
func (s *Source) lacking(what string, err error) error {
	f, open := os.Open(filepath.Join(s.tracefs, "trace_clock"))
	if open == nil {
		f.Close()
	} else if errors.Is(open, os.ErrPermission) {
		what += " (needs root, and no lockdown)"
	}
	return &bpf.Unavailable{Missing: []string{what}, Err: err}
}

func (s *Source) put(file, value string) error { return write(filepath.Join(s.dir, file), value, 0) }

func write(path, value string, flag int) error {
	f, err := os.OpenFile(path, os.O_WRONLY|flag, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// Read waits for the next event, as [bpf.Probe.Read] does.
func (s *Source) Read() (bpf.Event, error) {
	chunk := make([]byte, 16<<10)
	for len(s.queue) == 0 {
		timeout := -1
		if !s.deadline.IsZero() {
			timeout = int(max(0, time.Until(s.deadline).Milliseconds()))
		}
		fds := []unix.PollFd{{Fd: int32(s.pipe), Events: unix.POLLIN}, {Fd: int32(s.wake[0]), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, timeout)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return bpf.Event{}, fmt.Errorf("wait for %s/trace_pipe: %w", s.dir, err)
		case n == 0:
			return bpf.Event{}, os.ErrDeadlineExceeded
		case fds[1].Revents != 0:
			return bpf.Event{}, bpf.ErrWoken
		}
		n, err = unix.Read(s.pipe, chunk)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			return bpf.Event{}, fmt.Errorf("read %s/trace_pipe: %w", s.dir, err)
		}
		s.take(chunk[:n])
	}
	e := s.queue[0]
	s.queue = s.queue[1:]
	e.Read = bpf.Now()
	return e, nil
}

// take cuts what was read into lines; the last may not be whole yet.
func (s *Source) take(b []byte) {
	s.buf = append(s.buf, b...)
	text := string(s.buf)
	for {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			break
		}
		text = rest
		if l, ok := parseLine(line); ok {
			s.queue = append(s.queue, s.state.apply(l)...)
		}
	}
	s.buf = append(s.buf[:0], text...)
}

// SetDeadline bounds the following calls of Read.
func (s *Source) SetDeadline(t time.Time) { s.deadline = t }

// Wake makes a waiting Read return [bpf.ErrWoken].
func (s *Source) Wake() { _, _ = unix.Write(s.wake[1], []byte{0}) }

// Beat has nothing to do: there are no maps to keep.
func (s *Source) Beat() error { return nil }

// Lost counts the events that the instance's buffers had no room for.
func (s *Source) Lost() (uint64, error) {
	files, err := filepath.Glob(s.dir + "/per_cpu/cpu*/stats")
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return 0, fmt.Errorf("count lost events: %w", err)
		}
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			if key == "overrun" || key == "dropped events" {
				v, _ := strconv.ParseUint(value, 10, 64)
				n += v
			}
		}
	}
	return n, nil
}

// Waiting reports whether a load is still in its system call, as far as the
// trace has been read.
func (s *Source) Waiting(load uint64) bool { return s.state.loads[load] != nil }

// Missing says what cannot be seen this way.
func (s *Source) Missing() []string { return s.missing }

// Close removes the instance and its kprobe events.
func (s *Source) Close() error {
	var errs []error
	for _, fd := range []int{s.pipe, s.wake[0], s.wake[1]} {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	if s.dir == "" {
		return errors.Join(errs...)
	}
	// Enabled events keep their definitions in use.
	_ = s.put("events/enable", "0")
	errs = append(errs, os.Remove(s.dir))
	for _, k := range s.kprobes {
		errs = append(errs, write(filepath.Join(s.tracefs, "kprobe_events"), "-:"+s.group+"/"+k, os.O_APPEND))
	}
	return errors.Join(errs...)
}
