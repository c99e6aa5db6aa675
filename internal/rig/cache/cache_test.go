// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMade(t *testing.T) {
	c := Cache(t.TempDir())
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	dir, runs := c.Path("d/e"), 0
	broken := errors.New("broken")
	fill := func(dir string) error {
		runs++
		if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
			t.Error("what a run that failed has left is still there")
		}
		if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o644); err != nil {
			return err
		}
		if runs == 1 {
			return broken
		}
		return nil
	}
	if err := c.Made(t.Context(), "a/lock", dir, fill); !errors.Is(err, broken) || Complete(dir) {
		t.Errorf("%v", err)
	}
	for range 2 {
		if err := c.Made(t.Context(), "a/lock", dir, fill); err != nil || !Complete(dir) {
			t.Errorf("%v", err)
		}
	}
	if runs != 2 {
		t.Errorf("it was filled %d times", runs)
	}
}

// TestLockedEnds: whoever waits for another run's lock can be interrupted, and gets it once that run is done.
func TestLockedEnds(t *testing.T) {
	c := Cache(t.TempDir())
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	has, done, ended := make(chan bool), make(chan bool), make(chan error)
	go func() {
		ended <- c.Locked(t.Context(), "l", func() error { close(has); <-done; return nil })
	}()
	<-has
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Locked(ctx, "l", func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	go func() { ended <- c.Locked(t.Context(), "l", func() error { return nil }) }()
	close(done)
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestCurrent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stamp")
	if Current(file) {
		t.Error("what is not there is current")
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if !Current(file) {
		t.Error("what was written now is not current")
	}
	old := time.Now().Add(-13 * time.Hour)
	if err := os.Chtimes(file, old, old); err != nil || Current(file) {
		t.Errorf("what is 13 hours old is current, %v", err)
	}
}
