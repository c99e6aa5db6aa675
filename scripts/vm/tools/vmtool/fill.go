// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func init() { tools["fill"] = fill }

// fill puts entries of nobody's into a pinned hash map of the probe until it has no room, or takes them out again with
// -empty. It prints how many.
//
//	vmtool fill [-empty] FILE
func fill(args []string) int {
	flags := flag.NewFlagSet("fill", flag.ContinueOnError)
	empty := flags.Bool("empty", false, "take them out")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		return fatal("fill [-empty] FILE")
	}
	m, err := ebpf.LoadPinnedMap(flags.Arg(0), nil)
	if err != nil {
		return fatal("fill: %v", err)
	}
	defer m.Close()
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	done := 0
	for i := range m.MaxEntries() {
		// No task has such a number, and no load or request such an id: it would be of the first moment after the boot.
		binary.LittleEndian.PutUint32(key, 0x70000000+i)
		if *empty {
			err = m.Delete(key)
		} else {
			err = m.Update(key, value, ebpf.UpdateNoExist)
		}
		if errors.Is(err, unix.E2BIG) || errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			return fatal("fill: %v", err)
		}
		done++
	}
	fmt.Println(done)
	if done == 0 {
		return 1
	}
	return 0
}
