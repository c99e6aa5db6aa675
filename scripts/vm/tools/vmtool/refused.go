// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func init() { tools["refused"] = refused }

// refused makes calls that any user can make, as often as he has time: finit_module and init_module in turns, which end with
// EPERM at once. It prints how many did.
//
//	vmtool refused CALLS
func refused(args []string) int {
	if len(args) != 1 {
		return fatal("refused CALLS")
	}
	calls, err := strconv.Atoi(args[0])
	if err != nil || calls < 1 {
		return fatal("refused: %q calls", args[0])
	}
	if err := syscall.Setuid(1000); err != nil {
		return fatal("refused: become a user: %v", err)
	}
	ended := 0
	for i := range calls {
		err := unix.FinitModule(-1, "", 0)
		if i%2 == 1 {
			err = unix.InitModule(nil, "")
		}
		if err == unix.EPERM {
			ended++
		}
	}
	fmt.Println(ended)
	return 0
}
