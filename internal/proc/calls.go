// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"runtime"
	"slices"
)

// Kind is what matters here of a system call.
type Kind uint8

const (
	Other       Kind = iota
	FinitModule      // finit_module(fd, params, flags)
	InitModule       // init_module(image, size, params)
	WaitChild        // wait4 or waitpid(pid, …)
	WaitID           // waitid(idtype, id, …)
	Sleep            // nanosleep or clock_nanosleep: ends by itself
)

// Numbers of arch/*/…/syscall*.tbl. A kernel of 64 bits runs programs of 32,
// and /proc shows each task's own numbers.
var (
	callsARM   = [...]numbers{{379, FinitModule}, {128, InitModule}, {114, WaitChild}, {280, WaitID}, {162, Sleep}, {265, Sleep}, {407, Sleep}}
	callsARM64 = [...]numbers{{273, FinitModule}, {105, InitModule}, {260, WaitChild}, {95, WaitID}, {101, Sleep}, {115, Sleep}}
	calls386   = [...]numbers{{350, FinitModule}, {128, InitModule}, {114, WaitChild}, {7, WaitChild}, {284, WaitID}, {162, Sleep}, {267, Sleep}, {407, Sleep}}
	callsAMD64 = [...]numbers{{313, FinitModule}, {175, InitModule}, {61, WaitChild}, {247, WaitID}, {35, Sleep}, {230, Sleep}}
)

type numbers struct {
	nr   int64
	kind Kind
}

// Calls in which threads spend their idle lives, and which never ask for a
// module: futex, poll, select, epoll_wait, rt_sigtimedwait and their variants.
var (
	idleARM   = [...]int64{240, 168, 142, 252, 346, 336, 335, 177, 422, 414, 413, 421}
	idleARM64 = [...]int64{98, 22, 73, 72, 137}
	idle386   = [...]int64{240, 168, 142, 256, 319, 309, 308, 177, 422, 414, 413, 421}
	idleAMD64 = [...]int64{202, 7, 23, 232, 281, 441, 271, 270, 128}
)

// wide tells a thread of 64 bits from one of 32. Not known of some.
func (c *Call) wide() (wide, known bool) {
	if c.bits != 0 {
		return c.bits == 64, c.bits == 64 || c.bits == 32
	}
	return c.SP > 1<<32-1, true
}

// x32 marks the calls of programs with long pointers of 32 bits
// (__X32_SYSCALL_BIT in arch/x86/include/uapi/asm/unistd.h).
const x32 = 1 << 30

// Elsewhere tells that the thread is in no call that loads a module, whichever
// of the kernel's tables its number is of: a program of 64 bits may make calls
// of those of 32. False on architectures not listed here.
func (c *Call) Elsewhere() bool {
	var tables [2][]numbers
	switch runtime.GOARCH {
	case "arm", "arm64":
		tables = [2][]numbers{callsARM[:], callsARM64[:]}
	case "386", "amd64":
		tables = [2][]numbers{calls386[:], callsAMD64[:]}
	default:
		return false
	}
	if c.NR < 0 {
		return true // in none at all
	}
	for _, t := range tables {
		for _, n := range t {
			if n.nr == c.NR&^x32 && (n.kind == FinitModule || n.kind == InitModule) {
				return false
			}
		}
	}
	return true
}

// Idle tells whether the thread waits for events in a call that cannot lead to
// a module. False on architectures not listed here.
func (c *Call) Idle() bool {
	wide, known := c.wide()
	if !known {
		return false
	}
	switch runtime.GOARCH {
	case "arm", "arm64":
		if wide {
			return slices.Contains(idleARM64[:], c.NR)
		}
		return slices.Contains(idleARM[:], c.NR)
	case "386", "amd64":
		if wide {
			return slices.Contains(idleAMD64[:], c.NR)
		}
		return slices.Contains(idle386[:], c.NR)
	}
	return false
}

// Kind names the call. Other on architectures not listed here, and where the
// thread's is not known.
func (c *Call) Kind() Kind {
	var table []numbers
	wide, known := c.wide()
	if !known {
		return Other
	}
	switch runtime.GOARCH {
	case "arm", "arm64":
		if table = callsARM[:]; wide {
			table = callsARM64[:]
		}
	case "386", "amd64":
		if table = calls386[:]; wide {
			table = callsAMD64[:]
		}
	}
	for _, n := range table {
		if n.nr == c.NR {
			return n.kind
		}
	}
	return Other
}
