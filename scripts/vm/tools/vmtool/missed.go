// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"

	"github.com/cilium/ebpf/link"
)

func init() { tools["missed"] = missed }

// missed prints how often the probe whose links are pinned in a directory did not run where it is attached, most of
// all since the kernel had no room for another return probe. Linux tells that since 6.7.
//
//	vmtool missed DIRECTORY
func missed(args []string) int {
	if len(args) != 1 {
		return fatal("missed DIRECTORY")
	}
	all, err := filepath.Glob(filepath.Join(args[0], "link-*"))
	if err != nil || len(all) == 0 {
		return fatal("missed: no links in %s: %v", args[0], err)
	}
	var sum uint64
	for _, file := range all {
		l, err := link.LoadPinnedLink(file, nil)
		if err != nil {
			return fatal("missed: %s: %v", file, err)
		}
		info, err := l.Info()
		l.Close()
		if err != nil {
			return fatal("missed: %s: %v", file, err)
		}
		if p := info.PerfEvent(); p != nil && p.Kprobe() != nil {
			sum += p.Kprobe().Missed
		}
	}
	fmt.Println(sum)
	return 0
}
