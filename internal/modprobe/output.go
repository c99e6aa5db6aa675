// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"golang.org/x/sys/unix"

	"safeload/kmod"
)

// output is standard output as stdio buffers it: written when the buffer is
// full and there is more, at the end, and at each line if it is a terminal. So
// messages come between the same bytes where both go to one file.
type output struct {
	fd    int
	buf   []byte
	tty   int8 // 0 not asked yet, 1 yes, -1 no
	stuck bool
}

const outputSize = 4096

func (o *output) print(parts ...string) {
	for _, s := range parts {
		o.buf = append(o.buf, s...)
	}
	if o.tty == 0 {
		o.tty = -1
		if _, err := unix.IoctlGetTermios(o.fd, unix.TCGETS); err == nil {
			o.tty = 1
		}
	}
	switch n := len(o.buf); {
	case o.tty == 1 && n > 0 && o.buf[n-1] == '\n':
		o.flush()
	case n > outputSize:
		o.write((n - 1) / outputSize * outputSize)
	}
}

func (o *output) flush() { o.write(len(o.buf)) }

// write writes the first n bytes of the buffer.
func (o *output) write(n int) {
	if err := writeAll(o.fd, o.buf[:n], &o.stuck); err == unix.EPIPE {
		dieOfPipe()
	}
	o.buf = o.buf[:copy(o.buf, o.buf[n:])]
}

// dieOfPipe ends the program as a C program ends that nobody reads from any
// more; the Go runtime has taken SIGPIPE for itself.
func dieOfPipe() {
	setHandler(unix.SIGPIPE, sigDfl)
	_ = unix.Kill(unix.Getpid(), unix.SIGPIPE)
}

// writeAll writes b, or gives up for good at the first error.
func writeAll(fd int, b []byte, stuck *bool) error {
	for len(b) > 0 && !*stuck {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil || n <= 0 {
			*stuck = true
			return err
		}
		b = b[n:]
	}
	return nil
}

// Levels in the words of kmod's messages.
var levelNames = [...]string{
	kmod.LogCrit: "FATAL", kmod.LogErr: "ERROR", kmod.LogWarning: "WARNING",
	kmod.LogNotice: "NOTICE", kmod.LogInfo: "INFO", kmod.LogDebug: "DEBUG",
}

// Levels as libkmod names them when it prints by itself.
var libLevelNames = [...]string{
	kmod.LogEmerg: "EMERGENCY", kmod.LogAlert: "ALERT",
	kmod.LogCrit: "CRITICAL", kmod.LogErr: "ERROR", kmod.LogWarning: "WARNING",
	kmod.LogNotice: "NOTICE", kmod.LogInfo: "INFO", kmod.LogDebug: "DEBUG",
}

func levelName(names []string, level int) string {
	if level >= 0 && level < len(names) && names[level] != "" {
		return names[level]
	}
	return "LOG-" + string([]byte{'0', '0', byte('0' + level&7)})
}

// logger prints messages as kmod's tools do.
type logger struct {
	name string // program_invocation_short_name
	// level up to which messages are printed.
	level int
	// setUp is whether the tool's own logging has replaced libkmod's.
	setUp    bool
	libLevel int
	syslog   *syslogger
	out      *output
}

// log is kmod's log_printf. It tells whether the level is one that is printed.
func (l *logger) log(level int, parts ...string) (printed bool) {
	if level > l.level {
		return false
	}
	l.write(level, parts...)
	return true
}

func (l *logger) write(level int, parts ...string) {
	msg := make([]byte, 0, 256)
	if l.syslog == nil {
		msg = append(append(msg, l.name...), ": "...)
	}
	msg = append(append(msg, levelName(levelNames[:], level)...), ": "...)
	for _, p := range parts {
		msg = append(msg, p...)
	}
	if l.syslog != nil {
		l.syslog.send(level, msg)
		return
	}
	stuck := false
	_ = writeAll(2, msg, &stuck)
}

// lib is the package kmod's log function.
func (l *logger) lib(level int, function, msg string) {
	if level > l.libLevel {
		return
	}
	if l.setUp {
		l.write(level, msg)
		return
	}
	stuck := false
	_ = writeAll(2, []byte("libkmod: "+levelName(libLevelNames[:], level)+": "+function+": "+msg), &stuck)
}

func (l *logger) err(parts ...string)  { l.log(kmod.LogErr, parts...) }
func (l *logger) warn(parts ...string) { l.log(kmod.LogWarning, parts...) }
