// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"

	"safeload/finit/unpack"
	"safeload/internal/modprobe"
)

// kmod's programs. Each tells which it is by the name that it is called by.
func init() {
	for _, c := range []command{
		{name: "modprobe", args: "[OPTION...] NAME [param=value...]", summary: "modprobe(8) of kmod, with the guard"},
		{name: "insmod", args: "[OPTION...] FILE [param=value...]", summary: "insmod(8) of kmod, with the guard"},
		{name: "rmmod", args: "[OPTION...] NAME...", summary: "rmmod(8) of kmod"},
		{name: "lsmod", args: "[OPTION...]", summary: "lsmod(8) of kmod"},
		{name: "modinfo", args: "[OPTION...] NAME|FILE...", summary: "modinfo(8) of kmod"},
	} {
		c.applet = true
		c.run = func(args []string, _, _ io.Writer) int {
			return modprobe.Main(modprobe.Running(append([]string{c.name}, args...), os.Environ(), unpack.InProcess))
		}
		commands = append(commands, c)
	}
}
