// SPDX-License-Identifier: Apache-2.0

package tracefs

import (
	"strconv"
	"strings"
	"time"
)

// line is one event of trace_pipe.
type line struct {
	comm  string
	tid   uint32
	at    time.Duration
	event string
	rest  string
}

// parseLine reads a line as trace_print_context (kernel/trace/trace_output.c)
// writes it:
//
//	modprobe-257     [000] d..2.    42.075800: child: (call_…) sub=0x…
//
// The comm fills sixteen columns whatever is in it. A comm with a line break
// in it cuts its own line into two that do not have this shape, and both are
// dropped: a comm is too short to hold a line of this shape itself.
func parseLine(s string) (line, bool) {
	const commWidth = 16
	if len(s) <= commWidth || s[commWidth] != '-' {
		return line{}, false
	}
	l := line{comm: strings.TrimLeft(s[:commWidth], " ")}
	pid, rest, ok := strings.Cut(s[commWidth+1:], " ")
	tid, err := strconv.ParseUint(pid, 10, 32)
	if !ok || err != nil {
		return line{}, false
	}
	l.tid = uint32(tid)
	rest = strings.TrimLeft(rest, " ")
	if !strings.HasPrefix(rest, "[") {
		return line{}, false
	}
	// [cpu] flags seconds.micros: event: rest
	_, rest, ok = strings.Cut(rest, "] ")
	if !ok {
		return line{}, false
	}
	stamp, rest, ok := strings.Cut(rest, ": ")
	if !ok {
		return line{}, false
	}
	stamp = stamp[strings.LastIndexByte(stamp, ' ')+1:]
	sec, micro, ok := strings.Cut(stamp, ".")
	n, err1 := strconv.ParseUint(sec, 10, 32)
	u, err2 := strconv.ParseUint(micro, 10, 32)
	if !ok || err1 != nil || err2 != nil || len(micro) != 6 {
		return line{}, false
	}
	l.at = time.Duration(n)*time.Second + time.Duration(u)*time.Microsecond
	l.event, l.rest, ok = strings.Cut(rest, ":")
	if !ok {
		// A system call's entry: "sys_finit_module(fd: 3, …", its exit:
		// "sys_finit_module -> 0x0".
		l.event, l.rest, ok = strings.Cut(rest, " -> ")
		if ok {
			l.rest = "-> " + l.rest
		}
		return l, ok
	}
	if name, _, call := strings.Cut(l.event, "("); call {
		l.event, l.rest = name, strings.TrimPrefix(rest, name)
	}
	l.rest = strings.TrimSpace(l.rest)
	return l, l.event != ""
}

// value returns the value of key=value in a kprobe event's text.
func (l *line) value(key string) string {
	_, v, ok := strings.Cut(l.rest, " "+key+"=")
	if !ok {
		return ""
	}
	v, _, _ = strings.Cut(v, " ")
	return v
}

// word returns a number of a kprobe event.
func (l *line) word(key string) uint64 {
	v, _ := strconv.ParseUint(l.value(key), 0, 64)
	return v
}
