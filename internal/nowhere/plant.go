// SPDX-License-Identifier: Apache-2.0

//go:build safeload_plant && linux && (amd64 || arm || arm64)

package nowhere

import (
	"syscall"
	"unsafe"
)

var planted struct {
	nothing *int
	zero    int
	numbers [4]int
	words   []string
	any     any
	deep    int
}

// plant has the bug that the name asks for, or shows by 42 that it is asked.
func plant(name string) {
	switch name {
	case "plant_control":
		exit(42)
	case "plant_segv":
		signal(syscall.SIGSEGV)
	case "plant_term":
		signal(syscall.SIGTERM)
	case "plant_urg":
		signal(syscall.SIGURG)
	case "plant_nil":
		*planted.nothing = 1
	case "plant_bounds":
		planted.zero = planted.numbers[len(name)]
	case "plant_slice":
		planted.zero = len(name[len(name)+planted.zero+1:])
	case "plant_division":
		planted.deep = len(name) / planted.zero
	case "plant_stack":
		planted.deep = recurse(len(name))
	case "plant_allocation":
		planted.words = append(planted.words, name)
	case "plant_panic":
		panic(name)
	case "plant_call":
		planted.any.(interface{ Missing() }).Missing()
	case "plant_write":
		*(*byte)(unsafe.Pointer(unsafe.StringData("read-only"))) = 1
	}
}

// signal has a signal come in the middle, and shows by 42 that it goes on.
func signal(sig syscall.Signal) {
	sys(syscall.SYS_KILL, sys(syscall.SYS_GETPID, 0, 0, 0, 0, 0, 0), uintptr(sig), 0, 0, 0, 0)
	exit(42)
}

// recurse has frames of a page and no end: the compiler cannot know that n grows.
//
//go:noinline
func recurse(n int) int {
	var frame [4096]byte
	frame[n&4095] = byte(n)
	if n < 0 {
		return int(frame[1])
	}
	return recurse(n+1) + int(frame[n&1023])
}
