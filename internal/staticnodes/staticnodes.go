// SPDX-License-Identifier: Apache-2.0

// Package staticnodes is "kmod static-nodes": the device nodes that are to be
// there before their modules are, from modules.devname, for
// kmod-static-nodes.service.
package staticnodes

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"safeload/internal/getopt"
	"safeload/internal/proc"
	"safeload/internal/stdio"
	"safeload/internal/strerror"
	"safeload/internal/treefile"
)

// node is a line of modules.devname.
type node struct {
	module, name string
	kind         byte // 'c' or 'b'
	major, minor uint32
}

// formats in which nodes are written.
var formats = []struct {
	name, about string
	write       func(w io.Writer, n node)
}{
	{"human", "(default) a human readable format. Do not parse.", human},
	{"tmpfiles", "the tmpfiles.d(5) format used by systemd-tmpfiles.", tmpfiles},
	{"devname", "the modules.devname format.", devname},
}

func human(w io.Writer, n node) {
	kind := "block"
	if n.kind == 'c' {
		kind = "character"
	}
	fmt.Fprintf(w, "Module: %s\n\tDevice node: /dev/%s\n\t\tType: %s device\n\t\tMajor: %d\n\t\tMinor: %d\n", n.module, n.name, kind, n.major, n.minor)
}

func tmpfiles(w io.Writer, n node) {
	if i := strings.LastIndexByte(n.name, '/'); i >= 0 {
		fmt.Fprintf(w, "d /dev/%s 0755 - - -\n", n.name[:i])
	}
	fmt.Fprintf(w, "%c! /dev/%s 0600 - - - %d:%d\n", n.kind, n.name, n.major, n.minor)
}

func devname(w io.Writer, n node) {
	fmt.Fprintf(w, "%s %s %c%d:%d\n", n.module, n.name, n.kind, n.major, n.minor)
}

var options = []getopt.Option{
	{Name: "output", Arg: true, Val: 'o'},
	{Name: "format", Arg: true, Val: 'f'},
	{Name: "help", Val: 'h'},
}

// Main runs the command, whose name is args[0] to messages about options, and
// returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	say := func(format string, args ...any) int {
		fmt.Fprintf(stderr, format, args...)
		return 1
	}
	format, output, written := formats[0], "", false
	opts := getopt.Parser{Args: args, Short: "o:f:h", Long: options, Posix: true, Errs: func(msg string) { say("%s", msg) }}
	for o := opts.Next(); o != getopt.End; o = opts.Next() {
		switch o {
		case 'o':
			output, written = opts.Arg, true
		case 'f':
			found := false
			for _, f := range formats {
				if f.name == opts.Arg {
					format, found = f, true
				}
			}
			if !found {
				say("Unknown format: '%s'.\n", opts.Arg)
				help(stdout)
				return 1
			}
		case 'h':
			help(stdout)
			return 0
		default:
			return 1
		}
	}
	release, err := proc.Release()
	if err != nil {
		return say("Error: uname failed!\n")
	}
	path := "/lib/modules/" + release + "/modules.devname"
	list, err := treefile.Read(path, maxList)
	switch {
	case errnoOf(err) == syscall.ENOENT:
		say("Warning: %s not found - ignoring\n", path)
		return 0
	case err != nil:
		return say("Error: could not open %s - %s\n", path, strerror.Text(errnoOf(err)))
	}
	to := stdout
	if written {
		f, code := create(output, say)
		if f == nil {
			return code
		}
		defer f.Close()
		to = f
	}
	return writeNodes(to, list, format.write, say)
}

// create makes the file that is to be written, and the directories above it.
func create(name string, say func(format string, args ...any) int) (*os.File, int) {
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		if err := os.MkdirAll(filepath.Clean(name[:i]), 0o755); err != nil {
			return nil, say("Error: could not create parent directory for %s - %s.\n", name, strerror.Text(errnoOf(err)))
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, say("Error: could not create %s - %s\n", name, strerror.Text(errnoOf(err)))
	}
	return f, 0
}

// writeNodes writes each node of a modules.devname, and returns the exit code.
func writeNodes(to io.Writer, list []byte, write func(io.Writer, node), say func(format string, args ...any) int) (code int) {
	w := bufio.NewWriter(to)
	defer w.Flush()
	for len(list) > 0 {
		var line string
		line, list = stdio.Line(list, lineSize)
		if strings.HasPrefix(line, "#") {
			continue
		}
		n, ok := parse(line)
		if !ok {
			code = say("Error: invalid devname entry: %s", line)
			continue
		}
		write(w, n)
	}
	return code
}

func errnoOf(err error) (errno syscall.Errno) {
	if err != nil && !errors.As(err, &errno) {
		return syscall.EINVAL // no regular file
	}
	return errno
}

const (
	lineSize = 4096
	maxList  = 16 << 20 // far beyond what a tree has
)

// parse is sscanf(3) of "%s %s %c%u:%u".
func parse(line string) (n node, ok bool) {
	if n.module, line, ok = stdio.Word(line); !ok {
		return n, false
	}
	if n.name, line, ok = stdio.Word(line); !ok {
		return n, false
	}
	if line = stdio.Skip(line); line == "" || line[0] != 'c' && line[0] != 'b' {
		return n, false
	}
	n.kind = line[0]
	if n.major, line, ok = stdio.Unsigned(line[1:]); !ok || !strings.HasPrefix(line, ":") {
		return n, false
	}
	n.minor, _, ok = stdio.Unsigned(line[1:])
	return n, ok
}

func help(w io.Writer) {
	fmt.Fprint(w, "Usage:\n\tkmod static-nodes [options]\n\n"+
		"kmod static-nodes outputs the static-node information of the currently running kernel.\n\n"+
		"Options:\n\t-f, --format FORMAT  choose format to use: see \"Formats\"\n\t-o, --output FILE    write output to file\n\t-h, --help           show this help\n\nFormats:\n")
	for _, f := range formats {
		fmt.Fprintf(w, "\t%-12s %s\n", f.name, f.about)
	}
}
