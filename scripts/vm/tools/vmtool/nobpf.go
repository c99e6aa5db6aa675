// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() { tools["nobpf"] = nobpf }

// nobpf runs a command for which bpf(2) does not exist, as on a kernel without
// CONFIG_BPF_SYSCALL: a seccomp filter answers ENOSYS.
func nobpf(args []string) int {
	if len(args) == 0 {
		return fatal("nobpf COMMAND...")
	}
	runtime.LockOSThread() // the filter is the thread's, and so is what it executes
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_BPF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fatal("no_new_privs: %v", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return fatal("seccomp: %v", errno)
	}
	return fatal("%s: %v", args[0], unix.Exec(args[0], args, os.Environ()))
}
