// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"safeload/internal/proc"
)

// A ready file says by being there that a watch sees all from now on, and in its
// lines which watch: one that was killed leaves its file behind.

// keeper names a process among all that ever were, in three lines: pid, start
// time (field 22 of /proc/PID/stat) and boot.
func keeper(pid int) (string, error) {
	p, err := proc.OpenProc()
	if err != nil {
		return "", err
	}
	defer p.Close()
	st, err := p.BoundedStat(pid)
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	switch {
	case st.Held:
		return "", proc.ErrHeld // it has come to have the pid: a watch executes nothing
	case st.Gone():
		return "", os.ErrProcessDone
	}
	return fmt.Sprintf("%d\nstart %d\nboot %s\n", pid, st.Start, strings.TrimSpace(string(boot))), nil
}

// MakeReady makes a ready file of this process, whole at once; none must be there.
func MakeReady(path string) error {
	text, err := keeper(os.Getpid())
	if err != nil {
		return fmt.Errorf("make the ready file: %w", err)
	}
	part := fmt.Sprintf("%s.%d", path, os.Getpid())
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("make the ready file: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Link(part, path) // unlike a rename it replaces nothing
	}
	if err = errors.Join(err, os.Remove(part)); err != nil {
		return fmt.Errorf("make the ready file: %w", err)
	}
	return nil
}

// ClearReady removes a ready file of this process, or of a watch that is no more.
// It is an error if another watch's or somebody's own file is there.
func ClearReady(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the ready file of before: %w", err)
	}
	defer f.Close()
	// What a FIFO has to say may be long in coming.
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return fmt.Errorf("ready file %s: it exists and is not a watch's: remove it, or name another", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return fmt.Errorf("look at the ready file of before: %w", err)
	}
	var pid int
	var start uint64
	var boot string
	if n, _ := fmt.Sscanf(string(b), "%d\nstart %d\nboot %s\n", &pid, &start, &boot); n != 3 {
		return fmt.Errorf("ready file %s: it exists and is not a watch's: remove it, or name another", path)
	}
	if is, err := keeper(pid); err == nil && is == string(b) && pid != os.Getpid() {
		return fmt.Errorf("ready file %s: it is that of process %d, which runs: name another", path, pid)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the ready file of before: %w", err)
	}
	return nil
}
