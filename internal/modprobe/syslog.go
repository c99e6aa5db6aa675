// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// syslogger sends to /dev/log what there is no standard error for, as
// syslog(3) does after openlog(name, LOG_CONS, LOG_DAEMON).
type syslogger struct {
	name string
	fd   int // -1 before the first message
}

const facilityDaemon = 3 << 3

func (s *syslogger) send(level int, msg []byte) {
	// Names come from whoever asked the kernel for something: they must not
	// be able to forge lines of the log.
	end := len(msg)
	if end > 0 && msg[end-1] == '\n' {
		end--
	}
	head := time.Now().Format(time.Stamp) + " "
	body := []byte(s.name + ": ")
	for _, c := range msg[:end] {
		if c < ' ' || c == 0x7f {
			const digits = "0123456789abcdef"
			body = append(body, '\\', 'x', digits[c>>4], digits[c&15])
			continue
		}
		body = append(body, c)
	}
	body = append(body, '\n')
	line := append([]byte("<"+strconv.Itoa(facilityDaemon|level)+">"+head), body...)
	if s.write(line) {
		return
	}
	if fd, err := unix.Open("/dev/console", unix.O_WRONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err == nil {
		stuck := false
		_ = writeAll(fd, append(body, '\r', '\n'), &stuck)
		unix.Close(fd)
	}
}

func (s *syslogger) write(line []byte) bool {
	if s.fd < 0 {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return false
		}
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: "/dev/log"}); err != nil {
			unix.Close(fd)
			return false
		}
		s.fd = fd
	}
	return unix.Send(s.fd, line, unix.MSG_NOSIGNAL) == nil
}

// stderrUsable reports whether there is a standard error to write to. The
// kernel starts its helper without any descriptor; the entry stub then puts
// one opened with O_PATH in its place, which cannot be written to either.
func stderrUsable() bool {
	flags, err := unix.FcntlInt(2, unix.F_GETFL, 0)
	return err == nil && flags&unix.O_PATH == 0
}
