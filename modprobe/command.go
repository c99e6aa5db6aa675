// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"
)

// runShell runs an install or remove command by the shell, and calls look while
// it runs, at once and each time again after as many milliseconds as that
// returns, until it is negative. The end of ctx kills the shell.
func runShell(ctx context.Context, text string, env []string, output *os.File, look func() int) (status int, err error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", text)
	cmd.Args[0], cmd.Env = "sh", env
	if output != nil {
		cmd.Stdout, cmd.Stderr = output, output
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for next := look; next != nil; {
		msec := next()
		if msec < 0 {
			break
		}
		select {
		case err = <-ended:
			return ofShell(ctx, err)
		case <-time.After(time.Duration(msec) * time.Millisecond):
		}
	}
	return ofShell(ctx, <-ended)
}

// ofShell makes the wait status of what [exec.Cmd.Wait] gave.
func ofShell(ctx context.Context, err error) (status int, _ error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if code := exit.ExitCode(); code >= 0 {
			return code << 8, nil
		}
		return 0, nil // ended by a signal: for kmod no failure
	}
	return 0, err
}
