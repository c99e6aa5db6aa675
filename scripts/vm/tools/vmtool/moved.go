// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

func init() { tools["moved"] = moved }

// moved runs a command, has the kernel move its first thread from one CPU to another for two seconds without a pause, and ends as
// the command does. A thread that falls asleep meanwhile may still be queued (DELAY_DEQUEUE, 6.12), and be moved asleep.
func moved(args []string) int {
	if len(args) < 1 {
		return fatal("moved COMMAND...")
	}
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		return fatal("moved: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for began := time.Now(); time.Since(began) < 2*time.Second; {
		for cpu := range 2 {
			var one unix.CPUSet
			one.Set(cpu)
			_ = unix.SchedSetaffinity(c.Process.Pid, &one) // it may be over
		}
	}
	err := <-ended
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fatal("moved: %v", err)
	}
	return c.ProcessState.ExitCode()
}
