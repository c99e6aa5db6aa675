// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"safeload/internal/kallsyms"
)

// symbolAt is the symbol that an address lies in.
type symbolAt struct {
	name  []byte
	start uint64
}

// No function is longer.
const longestFunction = 1 << 20

// nameStacks finds the symbols of addresses in /proc/kallsyms, which is sorted
// within the kernel and within each module only.
func nameStacks(symbols io.Reader, found map[int][]uint64) (map[int]string, error) {
	at := make(map[uint64]*symbolAt)
	for _, stack := range found {
		for _, pc := range stack {
			at[pc] = &symbolAt{}
		}
	}
	pcs := slices.Sorted(maps.Keys(at))
	lines := bufio.NewScanner(symbols)
	for lines.Scan() {
		digits, rest, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		start := kallsyms.Number(digits)
		if start == 0 {
			continue // hidden (kptr_restrict)
		}
		i, _ := slices.BinarySearch(pcs, start)
		for _, pc := range pcs[i:] {
			if pc-start >= longestFunction {
				break
			}
			if s := at[pc]; start > s.start {
				_, name, _ := bytes.Cut(rest, []byte(" "))
				s.name, s.start = append(s.name[:0], name...), start
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read /proc/kallsyms: %w", err)
	}
	all := make(map[int]string)
	for tid, stack := range found {
		var b strings.Builder
		for _, pc := range stack {
			s := at[pc]
			if s.start == 0 {
				fmt.Fprintf(&b, "[<0>] %#x\n", pc)
				continue
			}
			name, module, _ := strings.Cut(string(s.name), "\t")
			fmt.Fprintf(&b, "[<0>] %s+%#x", name, pc-s.start)
			if module != "" {
				b.WriteString(" " + module)
			}
			b.WriteByte('\n')
		}
		all[tid] = b.String()
	}
	return all, nil
}
