// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"runtime"
	"strings"

	"safeload/internal/kallsyms"
)

// One reading does for the probe, for the phases of a load and for doctor.
var _ = kallsyms.Want(append(allSymbols(), phaseFunctions()...)...)

// findSymbols returns, for each wanted function, the name that the kernel has it
// under: the name itself, else a compiler's clone of it (.isra.N, .constprop.N,
// .part.N), which perf does not try by itself. Functions that were inlined away
// are absent from the result.
func findSymbols(functions *kallsyms.Functions, want []string) map[string]string {
	wanted := make(map[string]bool, len(want))
	for _, w := range want {
		wanted[w] = true
	}
	found := make(map[string]string, len(want))
	for _, f := range functions.Found {
		base := f.Base()
		if !wanted[base] {
			continue
		}
		if f.Clone() == "" {
			found[base] = base
		} else if _, ok := found[base]; !ok && callable(f.Clone()) {
			found[base] = f.Name
		}
	}
	return found
}

// callable reports whether a clone has the function's own entry. A ".cold"
// part is a piece of its body.
func callable(clone string) bool {
	kind, _, _ := strings.Cut(clone, ".")
	switch kind {
	case "isra", "constprop":
		return true
	}
	return false
}

// thumbDecoder is a function of every Thumb-2 kernel with kprobes, and of no
// other (arch/arm/probes/Makefile). Its /proc/kallsyms shows the addresses of
// functions without the bit that would tell.
const thumbDecoder = "thumb32_probes_decode_insn"

const thumbKernel = "kprobes that are safe: a Thumb-2 kernel oopsed in finit_module under them"

// KprobesSafe returns an [Unavailable] on a kernel that kprobes on the probe's
// functions were seen to oops: 32-bit ARM's with CONFIG_THUMB2_KERNEL.
func KprobesSafe() error {
	if runtime.GOARCH != "arm" {
		return nil // nor are the symbols read for it
	}
	symbols, err := kernelSymbols([]string{thumbDecoder})
	if err != nil {
		return &Unavailable{Missing: []string{"kernel symbols"}, Err: err}
	}
	return kprobesSafe(symbols)
}

func kprobesSafe(symbols map[string]string) error {
	if symbols[thumbDecoder] != "" {
		return &Unavailable{Missing: []string{thumbKernel}}
	}
	return nil
}

// dropReadFile leaves nothing to hook where readFile cannot stand for fromFile.
func dropReadFile(symbols map[string]string) {
	if symbols[fromFile] == "" && !waitsByFile() {
		delete(symbols, readFile)
	}
}

func kernelSymbols(want []string) (map[string]string, error) {
	functions, err := kallsyms.Of(kallsyms.Path, want...)
	if err != nil {
		return nil, fmt.Errorf("read kernel symbols: %w", err)
	}
	m := findSymbols(functions, want)
	dropReadFile(m)
	return m, nil
}
