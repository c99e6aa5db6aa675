// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"safeload/internal/elfhead"
	"safeload/internal/kallsyms"
)

// The functions that hold the wait by file: the compiler inlines
// idempotent_wait_for_completion into one of these.
var waitHolders = []string{"idempotent_wait_for_completion", "idempotent_init_module",
	"__do_sys_finit_module", "sys_finit_module", "__se_sys_finit_module", "__arm64_sys_finit_module",
	"__x64_sys_finit_module", "__ia32_sys_finit_module"}

// waitCalled reads the machine code of these functions from /proc/kcore and finds
// which of the two waits they call. It needs root (CAP_SYS_RAWIO and readable
// addresses in kallsyms), and no lockdown.
func (s system) waitCalled() (waitKind, error) {
	named, err := s.addresses()
	if err != nil {
		return waitUnknown, err
	}
	soft, hard := named["wait_for_completion_interruptible"].From, named["wait_for_completion"].From
	if soft == 0 || hard == 0 {
		return waitUnknown, errors.New("no addresses in /proc/kallsyms without root")
	}
	core, err := os.Open(s.path("/proc/kcore"))
	if err != nil {
		return waitUnknown, fmt.Errorf("open /proc/kcore: %s", whyNot(err))
	}
	defer core.Close()
	found := waitUnknown
	for _, name := range waitHolders {
		from, to := named[name].From, named[name].To
		if from == 0 || to == 0 || to-from > 1<<16 {
			continue
		}
		code, err := readCore(core, from, to-from)
		if err != nil {
			return waitUnknown, err
		}
		for _, target := range callTargets(runtime.GOARCH, from, code) {
			switch target {
			case soft:
				return waitSoft, nil
			case hard:
				found = waitHard
			}
		}
	}
	return found, nil
}

// waitNames are the waits, what may hold one, and what tells that there is a wait by file.
var waitNames = append([]string{"wait_for_completion", "wait_for_completion_interruptible", "init_module_from_file", "idempotent_init_module"},
	waitHolders...)

var _ = kallsyms.Want(waitNames...)

// addresses are where functions begin and end, those that are no clones.
func (s system) addresses() (map[string]kallsyms.Function, error) {
	functions, err := kallsyms.Of(s.path(kallsyms.Path), waitNames...)
	if err != nil {
		return nil, fmt.Errorf("open /proc/kallsyms: %s", whyNot(err))
	}
	named := make(map[string]kallsyms.Function)
	for _, f := range functions.Found {
		if slices.Contains(waitNames, f.Name) {
			named[f.Name] = f
		}
	}
	return named, nil
}

// readCore reads the kernel's memory from /proc/kcore, an ELF core file.
func readCore(core io.ReaderAt, addr, size uint64) ([]byte, error) {
	head := make([]byte, elfhead.Size64) // one of 32 bits is longer than its header, too
	if _, err := core.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("read /proc/kcore: %s", whyNot(err))
	}
	h, ok := elfhead.Read(head)
	if !ok || h.Segments.Each != h.SegmentSize() {
		return nil, errors.New("/proc/kcore is no ELF file")
	}
	for i := range h.Segments.Count {
		b := make([]byte, h.SegmentSize())
		if _, err := core.ReadAt(b, int64(h.Segments.At+i*h.Segments.Each)); err != nil {
			return nil, fmt.Errorf("read /proc/kcore: %s", whyNot(err))
		}
		p := h.Segment(b)
		if elf.ProgType(p.Type) != elf.PT_LOAD || addr < p.Address || addr-p.Address+size > p.Memory {
			continue
		}
		code := make([]byte, size)
		if _, err := core.ReadAt(code, int64(p.Offset+addr-p.Address)); err != nil {
			return nil, fmt.Errorf("read /proc/kcore: %s", whyNot(err))
		}
		return code, nil
	}
	return nil, errors.New("/proc/kcore does not hold the kernel's code")
}

// callTargets returns where the direct calls in a piece of code lead. On amd64
// any byte 0xE8 may be one: a false one that hits a function's first byte is
// not to be expected.
func callTargets(arch string, at uint64, code []byte) (targets []uint64) {
	switch arch {
	case "amd64":
		for i := 0; i+5 <= len(code); i++ {
			if code[i] == 0xe8 {
				rel := int32(binary.LittleEndian.Uint32(code[i+1:]))
				targets = append(targets, at+uint64(i)+5+uint64(int64(rel)))
			}
		}
	case "arm64":
		for i := 0; i+4 <= len(code); i += 4 {
			w := binary.LittleEndian.Uint32(code[i:])
			if w&0xfc000000 == 0x94000000 { // BL imm26
				rel := int64(int32(w<<6)) >> 6 * 4
				targets = append(targets, at+uint64(i)+uint64(rel))
			}
		}
	case "arm":
		for i := 0; i+4 <= len(code); i += 4 {
			w := binary.LittleEndian.Uint32(code[i:])
			if w&0x0f000000 == 0x0b000000 { // BL imm24, any condition, ARM state
				rel := int64(int32(w<<8)) >> 8 * 4
				targets = append(targets, uint64(uint32(at+uint64(i)+8+uint64(rel))))
			}
		}
	}
	return targets
}
