// SPDX-License-Identifier: Apache-2.0

package audit

import "sync"

// totalMemory is what the files of all modules that are read at one time may
// take. One that may need more is read alone.
const totalMemory = 512 << 20

// memory is that budget. It is taken for a module at once, before it is read,
// so that nobody holds some of it while waiting for more.
type memory struct {
	mu    sync.Mutex
	freed sync.Cond
	total int64
	free  int64
}

func newMemory(total int64) *memory {
	m := &memory{total: total, free: total}
	m.freed.L = &m.mu
	return m
}

// take waits for n bytes, or for all there are, and returns what to give back.
func (m *memory) take(n int64) int64 {
	n = min(n, m.total)
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.free < n {
		m.freed.Wait()
	}
	m.free -= n
	return n
}

func (m *memory) give(n int64) {
	m.mu.Lock()
	m.free += n
	m.mu.Unlock()
	m.freed.Broadcast()
}
