// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"sync"

	"safeload/bpf"
	"safeload/internal/kernelfs"
)

// Phases collects what takes loads long, for whoever writes a record: a goroutine of its own reads it, and the record gets it
// with the next event.
type Phases struct {
	source phaseSource
	done   chan struct{}
	close  sync.Once
	lost   uint64

	mu      sync.Mutex
	waiting []bpf.Phase
	dropped uint64
}

type phaseSource interface {
	Kinds() []string
	Read() (bpf.Phase, error)
	Lost() uint64
	Stop()
	Close()
}

// mostPhases is how many wait for the next event: far more than loads in flight can have without one.
const mostPhases = 65_536

// OpenPhases begins to collect. It is to be called before [Open], which gives up the right to it. The error is why this kernel
// tells of none.
func OpenPhases() (*Phases, error) {
	kernelfs.MountTracefs()
	source, err := bpf.OpenPhases()
	if err != nil {
		return nil, err
	}
	return collect(source), nil
}

func collect(source phaseSource) *Phases {
	p := &Phases{source: source, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for {
			f, err := source.Read()
			if err != nil {
				return
			}
			p.mu.Lock()
			if len(p.waiting) < mostPhases {
				p.waiting = append(p.waiting, f)
			} else {
				p.dropped++
			}
			p.mu.Unlock()
		}
	}()
	return p
}

// Kinds are the kinds that are told. A nil Phases tells none.
func (p *Phases) Kinds() []string {
	if p == nil {
		return nil
	}
	return p.source.Kinds()
}

// Take returns those that are over, in the order of their ends, and forgets them.
func (p *Phases) Take() []bpf.Phase {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.waiting
	p.waiting = nil
	return all
}

// Close ends it, and returns how many found no room. It may be called again.
func (p *Phases) Close() (lost uint64) {
	if p == nil {
		return 0
	}
	p.close.Do(func() {
		p.lost = p.source.Lost()
		p.source.Stop()
		<-p.done
		p.lost += p.dropped
		p.source.Close()
	})
	return p.lost
}
