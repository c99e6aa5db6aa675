// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"
)

func init() { tools["pty"] = pty }

// pty runs a command whose standard output is a terminal and copies what it
// writes there. It passes SIGTERM on and returns the command's exit code.
func pty(args []string) int {
	if len(args) == 0 {
		return fatal("pty COMMAND...")
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fatal("%v (is devpts mounted?)", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		return fatal("ptmx: %v", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fatal("%v", err)
	}
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr = slave, os.Stderr
	if err := c.Start(); err != nil {
		return fatal("%v", err)
	}
	slave.Close()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM)
	go func() {
		for s := range signals {
			c.Process.Signal(s)
		}
	}()
	io.Copy(os.Stdout, master) // ends with EIO when the last writer is gone
	var exit *exec.ExitError
	if err := c.Wait(); err != nil && !errors.As(err, &exit) {
		return fatal("%v", err)
	}
	return c.ProcessState.ExitCode()
}
