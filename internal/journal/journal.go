// SPDX-License-Identifier: Apache-2.0

// Package journal sends entries to systemd's journal by its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).
//
// github.com/coreos/go-systemd sends on a socket that is not connected: while the journal's queue is full, poll(2) calls such a
// socket writable, and the Go runtime tries again without a pause. A connected one sleeps.
package journal

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is where the journal listens.
const Socket = "/run/systemd/journal/socket"

// Priorities, as of syslog(3).
const (
	Warning = 4
	Notice  = 5
	Info    = 6
)

// Sender sends entries, one at a time. The zero value connects when it sends.
type Sender struct {
	Path    string        // of the socket; empty: Socket
	Timeout time.Duration // how long a full queue is waited for; 0: for ever
	fd      int
	open    bool
}

// Send sends one entry. The names of fields must be those of systemd.journal-fields(7): capitals, digits and underscores.
// EAGAIN if the journal did not take it in time; ENOENT or ECONNREFUSED where there is none; EMSGSIZE beyond what a datagram
// holds, some 200 kB.
func (s *Sender) Send(message string, priority int, fields map[string]string) error {
	b := appendField(nil, "MESSAGE", message)
	b = appendField(b, "PRIORITY", strconv.Itoa(priority))
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = appendField(b, name, fields[name])
	}
	err := s.write(b)
	if err == unix.ECONNREFUSED || err == unix.ENOTCONN || err == unix.EPIPE { // it was started anew
		s.Close()
		err = s.write(b)
	}
	return err
}

func (s *Sender) write(b []byte) error {
	if !s.open {
		if err := s.connect(); err != nil {
			return err
		}
	}
	for {
		if err := unix.Send(s.fd, b, unix.MSG_NOSIGNAL); err != unix.EINTR {
			return err
		}
	}
}

func (s *Sender) connect() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	path := s.Path
	if path == "" {
		path = Socket
	}
	if s.Timeout > 0 {
		t := unix.NsecToTimeval(s.Timeout.Nanoseconds())
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &t)
	}
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	s.fd, s.open = fd, true
	return nil
}

// Close ends the connection.
func (s *Sender) Close() {
	if s.open {
		unix.Close(s.fd)
		s.open = false
	}
}

// appendField adds a field. A value of several lines has its length before it, so that none of them is taken for a field.
func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	if !strings.Contains(value, "\n") {
		b = append(append(b, '='), value...)
		return append(b, '\n')
	}
	b = append(b, '\n')
	b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
	return append(append(b, value...), '\n')
}
