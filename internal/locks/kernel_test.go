// SPDX-License-Identifier: Apache-2.0

//go:build vmtest

package locks

import (
	"testing"
	"time"
)

// A mutex of our own, twice: learned from the first, seen at the second.
func TestOwnMutex(t *testing.T) {
	began := time.Now()
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	t.Logf("a task_struct has its stack at %d, a lock its owner %d words before the queue; %v", s.reader.stack, s.reader.owner, time.Since(began))
	own, err := newTrial(s)
	if err != nil {
		t.Fatal(err)
	}
	defer own.end()
	began = time.Now()
	for time.Since(began) < 20*time.Second {
		for i, task := range own.tasks {
			l, ok := s.reader.Of(task)
			if !ok {
				continue
			}
			if l.Task != own.tasks[1-i] || l.Kind != Mutex {
				t.Errorf("found %+v, want a mutex of %#x", l, own.tasks[1-i])
			}
			if h, ok := s.thread(l.Task); !ok {
				t.Errorf("the holder %+v is not found", h)
			}
			if _, ok := s.reader.Of(own.tasks[1-i]); ok {
				t.Error("who holds it is taken to wait")
			}
			return
		}
	}
	t.Error("a thread that waits for a mutex was not found")
}
