// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The kinds of slots. A guest that is idle most of its time takes none of those that compute, and one that fills gets what
// all others leave of the processors.
const (
	computing = "slot"
	idling    = "idle"
	filling   = "fill"
)

// TakeSlot is takeSlot for a guest that the rig does not start.
func TakeSlot(ctx context.Context, cache string) (*os.File, error) {
	return takeSlot(ctx, cache, computing)
}

// takeSlot waits until this machine has room for one guest more: of each kind as many run at once as it has cores,
// whoever starts them. The slot is held by whoever has the file open, so a guest inherits it.
func takeSlot(ctx context.Context, cache, kind string) (*os.File, error) {
	dir := os.Getenv("SAFELOAD_SLOTS")
	if dir == "" {
		dir = "/var/lock/safeload-vm"
	}
	_ = os.MkdirAll(dir, 0o755)
	if unix.Access(dir, unix.W_OK) != nil {
		dir = filepath.Join(cache, "locks")
	}
	for {
		for i := range runtime.NumCPU() {
			f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%s%d", kind, i)), os.O_RDWR|os.O_CREATE, 0o644)
			if err != nil {
				return nil, err
			}
			if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				return f, nil
			}
			_ = f.Close()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}
