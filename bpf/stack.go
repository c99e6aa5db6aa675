// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package bpf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"safeload/internal/kallsyms"
)

// stackFrames is how many a record of src/stack.bpf.c has.
const stackFrames = 32

type stackRecord struct {
	TID  uint32
	Size int32 // of PC, in bytes, or an errno
	PC   [stackFrames]uint64
}

// Stacks returns where threads are in the kernel, as /proc/PID/stack would
// show it, from an iterator over all threads. It needs a kernel with BTF
// (CONFIG_DEBUG_INFO_BTF), CAP_BPF and CAP_PERFMON, and addresses in
// /proc/kallsyms; [ebpf.ErrNotSupported] when there is no BTF. Threads of which
// the kernel tells nothing are left out.
func Stacks(tids []int) (map[int]string, error) {
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("iterate over the tasks: %w: no BTF in this kernel", ebpf.ErrNotSupported)
	}
	var o stackObjects
	if err := loadStackObjects(&o, nil); err != nil {
		return nil, fmt.Errorf("load the iterator over the tasks: %w", err)
	}
	defer o.Close()
	it, err := link.AttachIter(link.IterOptions{Program: o.Stacks})
	if err != nil {
		return nil, fmt.Errorf("make the iterator over the tasks: %w", err)
	}
	defer it.Close()
	r, err := it.Open()
	if err != nil {
		return nil, fmt.Errorf("open the iterator over the tasks: %w", err)
	}
	defer r.Close()
	found, err := readStacks(bufio.NewReaderSize(r, 1<<16), tids)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(kallsyms.Path)
	if err != nil {
		return nil, fmt.Errorf("name the addresses of stacks: %w", err)
	}
	defer f.Close()
	return nameStacks(f, found)
}

func readStacks(r io.Reader, tids []int) (map[int][]uint64, error) {
	found := make(map[int][]uint64)
	for {
		var s stackRecord
		switch err := binary.Read(r, binary.NativeEndian, &s); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, fmt.Errorf("read the iterator over the tasks: %w", err)
		}
		if n := int(s.Size) / 8; n > 0 && n <= stackFrames && slices.Contains(tids, int(s.TID)) {
			found[int(s.TID)] = slices.Clone(s.PC[:n])
		}
	}
}
