// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() { tools["without"] = without }

// without runs a command for which something does not exist: "bpf", the system
// call, as on a kernel without CONFIG_BPF_SYSCALL (a seccomp filter answers
// ENOSYS); "rights", the capabilities that safeload-watch.service does not have;
// "admin", these and CAP_SYS_ADMIN.
func without(args []string) int {
	if len(args) < 2 {
		return fatal("without bpf|rights|admin COMMAND...")
	}
	runtime.LockOSThread() // both are the thread's, and so is what it executes
	var err error
	switch args[0] {
	case "bpf":
		err = noBPF()
	case "rights":
		err = noRights(-1)
	case "admin":
		err = noRights(unix.CAP_SYS_ADMIN)
	default:
		return fatal("without %s: not known", args[0])
	}
	if err != nil {
		return fatal("without %s: %v", args[0], err)
	}
	return fatal("%s: %v", args[1], unix.Exec(args[1], args[1:], os.Environ()))
}

// unitRights is the CapabilityBoundingSet of safeload-watch.service.
var unitRights = map[string]int{
	"CAP_BPF":             unix.CAP_BPF,
	"CAP_PERFMON":         unix.CAP_PERFMON,
	"CAP_SYS_ADMIN":       unix.CAP_SYS_ADMIN,
	"CAP_SYS_PTRACE":      unix.CAP_SYS_PTRACE,
	"CAP_SYSLOG":          unix.CAP_SYSLOG,
	"CAP_KILL":            unix.CAP_KILL,
	"CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH,
}

// noRights takes all others, and but, out of the bounding set. What root executes
// then has the rest alone.
func noRights(but int) error {
	kept := make(map[int]bool)
	for _, c := range unitRights {
		kept[c] = c != but
	}
	for c := range 64 {
		if kept[c] {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if err == unix.EINVAL && c > unix.CAP_BPF {
			break // the kernel has no more
		}
		if err != nil {
			return err
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

func noBPF() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_BPF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return errno
	}
	return nil
}
