// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

func readFormat(tracefs, group, event string) (map[string]uint32, error) {
	b, err := os.ReadFile(filepath.Join(tracefs, "events", group, event, "format"))
	if err != nil {
		return nil, fmt.Errorf("read tracepoint %s:%s: %w", group, event, err)
	}
	return fieldOffsets(string(b)), nil
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
