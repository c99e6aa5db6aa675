// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// load is a program that loads a module in its own process, as systemd-udevd does with libkmod: it never
// runs modprobe and knows nothing of safeload.
//
//	vmtool load FILE [param=value...]
func load(args []string) int {
	if len(args) < 1 {
		return fatal("load: a file is needed")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return fatal("load: %v", err)
	}
	defer f.Close()
	// Go's preemption signal would abort a waiting finit_module with EINTR.
	runtime.LockOSThread()
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil); err != nil {
		return fatal("load: %v", err)
	}
	flags := 0
	if strings.HasSuffix(args[0], ".xz") {
		flags = 4 // MODULE_INIT_COMPRESSED_FILE
	}
	if err := unix.FinitModule(int(f.Fd()), strings.Join(args[1:], " "), flags); err != nil {
		return fatal("load: finit_module %s: %v", args[0], err)
	}
	fmt.Println("loaded", args[0])
	return 0
}

func init() { tools["misload"] = misload }

// misload calls finit_module with no file, as any user can, again and again.
//
//	vmtool misload UID COUNT    UID 0: as root
func misload(args []string) int {
	if len(args) != 2 {
		return fatal("misload: a uid and a count are needed")
	}
	if args[0] != "0" {
		if _, code := becomeUser("misload", args); code != 0 {
			return code
		}
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fatal("misload: %v", err)
	}
	for range n {
		if unix.FinitModule(-1, "", 0) == nil {
			return fatal("misload: it has loaded something")
		}
	}
	return 0
}
