// SPDX-License-Identifier: Apache-2.0

package rig

import "sync"

// A perKey holds one value for each key. Who works on that of one key does not wait for who works on another's: guests are
// given what they need while kernels of others are still prepared.
type perKey[T any] struct {
	mu sync.Mutex
	of map[string]*held[T]
}

type held[T any] struct {
	sync.Mutex
	value T
}

// take locks the value of a key, at first its zero value. Its Unlock is the caller's.
func (p *perKey[T]) take(key string) *held[T] {
	p.mu.Lock()
	h := p.of[key]
	if h == nil {
		h = new(held[T])
		if p.of == nil {
			p.of = make(map[string]*held[T])
		}
		p.of[key] = h
	}
	p.mu.Unlock()
	h.Lock()
	return h
}

// made is what came of something that is done once in a run.
type made[T any] struct {
	done  bool
	value T
	err   error
}

// once gives what f gave for this key in this run, now if nobody has called it yet.
func once[T any](p *perKey[made[T]], key string, f func() (T, error)) (T, error) {
	h := p.take(key)
	defer h.Unlock()
	if m := &h.value; !m.done {
		m.value, m.err = f()
		m.done = true
	}
	return h.value.value, h.value.err
}
