// SPDX-License-Identifier: Apache-2.0

// Package terminal knows whether a file is a terminal, and writes a line there that changes.
package terminal

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Is tells whether a reader or writer is a terminal.
func Is(of any) bool {
	f, ok := of.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// clear goes to the line's first column, and erases the line.
const clear = "\r\x1b[K"

// Status puts text in place of the terminal's last line, no longer than the line is: one that wraps cannot be taken back.
// The text is plain.
func Status(f *os.File, text string) {
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 1 && len(text) >= int(size.Col) {
		text = text[:size.Col-1]
	}
	fmt.Fprint(f, clear+text)
}

// Clear removes it.
func Clear(f *os.File) { fmt.Fprint(f, clear) }
