// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	tools["mountas"] = mountAs
	tools["mountnames"] = mountNames
	tools["sockets"] = sockets
}

// mountAs asks the kernel to mount file systems of these names as any user may: in a user namespace and a mount
// namespace of its own. That makes it run modprobe with fs-NAME; that there are none is no error.
//
//	vmtool mountas UID NAME...
func mountAs(args []string) int {
	uid, code := becomeUser("mountas", args)
	if code != 0 {
		return code
	}
	c := exec.Command(os.Args[0], append([]string{"mountnames"}, args[1:]...)...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
	}
	if err := c.Run(); err != nil {
		return fatal("mountas: %v", err)
	}
	return 0
}

// mountNames is what mountAs runs in the namespaces.
func mountNames(args []string) int {
	for _, name := range args {
		began := time.Now()
		err := unix.Mount("none", "/", name, 0, "")
		fmt.Printf("%.60q: %v, %d ms\n", name, err, time.Since(began).Milliseconds())
		if err == nil || err == unix.EPERM {
			return fatal("mount -t %.60q: %v: it did not get to look for that file system", name, err)
		}
	}
	return 0
}

// sockets asks for every family of sockets, and for protocols of the internet's that there are none of, as any
// user may: the kernel runs modprobe with net-pf-FAMILY and net-pf-2-proto-PROTOCOL-type-TYPE.
//
//	vmtool sockets UID
func sockets(args []string) int {
	if _, code := becomeUser("sockets", append(args, "")); code != 0 {
		return code
	}
	for family := range unix.AF_MAX {
		if fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			unix.Close(fd)
		}
	}
	for _, proto := range []int{200, 254, 255} {
		if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, proto); err == nil {
			unix.Close(fd)
		}
	}
	return 0
}

func becomeUser(tool string, args []string) (uid, code int) {
	if len(args) < 2 {
		return 0, fatal("%s: a uid and names are needed", tool)
	}
	if _, err := fmt.Sscan(args[0], &uid); err != nil || uid == 0 {
		return 0, fatal("%s: uid %q: %v", tool, args[0], err)
	}
	runtime.LockOSThread()
	if err := syscall.Setgid(uid); err != nil {
		return 0, fatal("%s: setgid %d: %v", tool, uid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return 0, fatal("%s: setuid %d: %v", tool, uid, err)
	}
	// What has changed its user is not dumpable, and its children's /proc/PID is root's.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return 0, fatal("%s: PR_SET_DUMPABLE: %v", tool, err)
	}
	return uid, 0
}
