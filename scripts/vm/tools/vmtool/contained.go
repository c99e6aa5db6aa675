// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

func init() { tools["contained"] = contained }

// contained runs a command as engines run a container: in pid, mount and cgroup namespaces of its own, and in a cgroup of that
// name. It prints the command's pid as it is outside.
//
//	vmtool contained CGROUP COMMAND...
func contained(args []string) int {
	if len(args) < 2 {
		return fatal("contained CGROUP COMMAND...")
	}
	group := filepath.Join("/sys/fs/cgroup", args[0])
	if err := os.MkdirAll(group, 0o755); err != nil {
		return fatal("contained: %v", err)
	}
	defer os.Remove(group)
	dir, err := os.Open(group)
	if err != nil {
		return fatal("contained: %v", err)
	}
	defer dir.Close()
	c := exec.Command(args[1], args[2:]...)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP,
		UseCgroupFD: true,
		CgroupFD:    int(dir.Fd()),
	}
	if err := c.Start(); err != nil {
		return fatal("contained: %v", err)
	}
	fmt.Println(c.Process.Pid)
	if err := c.Wait(); err != nil {
		return fatal("contained: %v", err)
	}
	return 0
}
