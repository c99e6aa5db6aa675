// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"errors"
	"os"
	"syscall"

	"safeload/internal/strerror"
	"safeload/kmod"
)

// logger prints messages as kmod's tools do: see tools/log.c.
type logger struct {
	name  string
	level int
}

// exitStatus is the value of the panic that ends the program, as exit(3) does.
type exitStatus int

func (l *logger) print(level int, parts ...string) {
	if level > l.level {
		return
	}
	name := map[int]string{kmod.LogCrit: "FATAL", kmod.LogErr: "ERROR", kmod.LogWarning: "WARNING",
		kmod.LogNotice: "NOTICE", kmod.LogInfo: "INFO", kmod.LogDebug: "DEBUG"}[level]
	msg := l.name + ": " + name + ": "
	for _, p := range parts {
		msg += p
	}
	_, _ = os.Stderr.WriteString(msg)
}

// crit prints a fatal message, which ends the program, as in kmod.
func (l *logger) crit(parts ...string) {
	l.print(kmod.LogCrit, parts...)
	panic(exitStatus(1))
}

func (l *logger) err(parts ...string)  { l.print(kmod.LogErr, parts...) }
func (l *logger) warn(parts ...string) { l.print(kmod.LogWarning, parts...) }
func (l *logger) info(parts ...string) { l.print(kmod.LogInfo, parts...) }

// text is strerror(3) of an error's errno.
func text(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		errno = syscall.EINVAL // no regular file, or none that large
	}
	return strerror.Text(errno)
}
