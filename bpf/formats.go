// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// tracefsDirs are where tracefs is to be found, the older place last.
var tracefsDirs = []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// fieldOffsets reads the offsets of all fields from a tracepoint's format file
// (Documentation/trace/events.rst). They differ between 32 and 64 bits and
// between versions, so none is taken from a header.
func fieldOffsets(format string) map[string]uint32 {
	offsets := make(map[string]uint32)
	for line := range strings.Lines(format) {
		decl, rest, ok := strings.Cut(strings.TrimSpace(line), ";")
		if !ok || !strings.HasPrefix(decl, "field:") {
			continue
		}
		_, num, ok := strings.Cut(rest, "offset:")
		if !ok {
			continue
		}
		num, _, _ = strings.Cut(num, ";")
		off, err := strconv.ParseUint(num, 10, 16)
		if err != nil {
			continue
		}
		// "type name" or "type name[n]"
		name := decl[strings.LastIndexAny(decl, " \t")+1:]
		name, _, _ = strings.Cut(name, "[")
		offsets[name] = uint32(off)
	}
	return offsets
}

// printedFlag is one of those that a format file says how to print (__print_flags):
// { (1U << 5), "MUTEX" }, or a number in place of the shift.
var printedFlag = regexp.MustCompile(`\{ *\(*(0x[0-9a-fA-F]+|\d+)[UL]*(?: *<< *(\d+))?\)*, *"(\w+)" *\}`)

// flagValues reads the values of all flags from a tracepoint's format file.
func flagValues(format string) map[string]uint32 {
	values := make(map[string]uint32)
	for _, m := range printedFlag.FindAllStringSubmatch(format, -1) {
		n, err := strconv.ParseUint(m[1], 0, 32)
		shift := uint64(0)
		if err == nil && m[2] != "" {
			shift, err = strconv.ParseUint(m[2], 10, 5)
		}
		if err == nil {
			values[m[3]] = uint32(n << shift)
		}
	}
	return values
}

func readFormat(tracefs, group, event string) (string, error) {
	b, err := os.ReadFile(filepath.Join(tracefs, "events", group, event, "format"))
	if err != nil {
		return "", fmt.Errorf("read tracepoint %s:%s: %w", group, event, err)
	}
	return string(b), nil
}

// findTracefs returns the directory where tracefs is mounted.
func findTracefs() (string, error) {
	for _, d := range tracefsDirs {
		_, err := os.Stat(filepath.Join(d, "events"))
		if err == nil {
			return d, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return "", fmt.Errorf("find tracefs: %w; root is needed", err)
		}
	}
	return "", fmt.Errorf("find tracefs: nothing at %s: mount it (mount -t tracefs tracefs %s)",
		strings.Join(tracefsDirs, " or "), tracefsDirs[0])
}
