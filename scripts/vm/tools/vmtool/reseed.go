// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() { tools["reseed"] = reseed }

// reseed gives the kernel's random numbers a new seed, in hex: a guest that is resumed from a saved one has the saved
// one's.
func reseed(args []string) int {
	if len(args) != 1 {
		return fatal("reseed: a seed is needed")
	}
	seed, err := hex.DecodeString(args[0])
	if err != nil {
		return fatal("reseed: %v", err)
	}
	f, err := os.OpenFile("/dev/urandom", os.O_RDWR, 0)
	if err != nil {
		return fatal("%v", err)
	}
	defer f.Close()
	// struct rand_pool_info of linux/random.h
	var info struct {
		bits, size int32
		buf        [64]byte
	}
	n := copy(info.buf[:], seed)
	info.bits, info.size = int32(8*n), int32(n)
	for _, call := range []struct {
		request uintptr
		arg     unsafe.Pointer
	}{{unix.RNDADDENTROPY, unsafe.Pointer(&info)}, {rndReseedCRNG, nil}} {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), call.request, uintptr(call.arg)); errno != 0 {
			return fatal("reseed: %v", errno)
		}
	}
	return 0
}

const rndReseedCRNG = 0x5207 // RNDRESEEDCRNG of linux/random.h
