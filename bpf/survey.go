// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"os"
	"path/filepath"
	"slices"

	"safeload/internal/kallsyms"
)

// HookStatus says whether a kernel has the place of one hook of the probe.
type HookStatus struct {
	Program  string `json:"program"`
	Kind     string `json:"kind"` // tracepoint, kprobe or kretprobe
	At       string `json:"at"`   // where it would attach; the first choice if it is missing
	Required bool   `json:"required"`
	Missing  string `json:"missing,omitempty"` // why it cannot be, if it cannot
	Without  string `json:"without,omitempty"` // what is then not seen
}

// Survey looks for the place of every hook, and loads nothing: in symbols, which is
// /proc/kallsyms or a file like it, and in the tracefs mounted at a directory (which
// needs root). The error is that of opening or reading symbols.
func Survey(symbols, tracefs string) ([]HookStatus, error) {
	functions, err := kallsyms.Of(symbols, allSymbols()...)
	if err != nil {
		return nil, err
	}
	return survey(functions, tracefs), nil
}

func survey(functions *kallsyms.Functions, tracefs string) []HookStatus {
	symbols := findSymbols(functions, allSymbols())
	dropReadFile(symbols)
	var list []HookStatus
	for _, h := range hooks {
		s := HookStatus{Program: h.prog, Required: h.need == required, Without: h.without,
			Kind: [...]string{tracepoint: "tracepoint", kprobe: "kprobe", kretprobe: "kretprobe"}[h.at]}
		if h.at == tracepoint {
			event := h.group + "/" + h.symbols[0]
			s.At = event
			if _, err := os.Stat(filepath.Join(tracefs, "events", event)); err != nil {
				s.Missing = "no such tracepoint"
			}
		} else {
			s.At = h.symbols[0]
			i := slices.IndexFunc(h.symbols, func(n string) bool { return symbols[n] != "" })
			if i < 0 {
				s.Missing = "no such function: inlined, or not in this kernel"
			} else {
				s.At = symbols[h.symbols[i]]
			}
			if kprobesSafe(symbols) != nil {
				s.Missing = "not attached: a Thumb-2 kernel oopsed under kprobes"
			}
		}
		list = append(list, s)
	}
	return list
}
