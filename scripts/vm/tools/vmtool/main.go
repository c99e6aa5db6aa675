// SPDX-License-Identifier: Apache-2.0

// Vmtool holds the small programs that the VM cases need in a guest, one a subcommand.
package main

import (
	"fmt"
	"os"
	"sort"
)

// tools are the subcommands; each returns the exit code.
var tools = map[string]func(args []string) int{
	"load": load,
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) > 0 {
		if tool, ok := tools[args[0]]; ok {
			return tool(args[1:])
		}
	}
	names := make([]string, 0, len(tools))
	for name := range tools {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintln(os.Stderr, "usage: vmtool TOOL ARG..., with one of", names)
	return 2
}

func fatal(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "vmtool: "+format+"\n", args...)
	return 1
}
