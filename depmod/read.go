// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"bytes"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"

	"safeload/finit"
	"safeload/finit/unpack"
	"safeload/internal/modfile"
	"safeload/internal/modload"
)

// contents is what is kept of a module's file.
type contents struct {
	exports                     []modfile.Symbol
	needs                       []need
	aliases, softdeps, weakdeps []string
	damage                      finit.Damage
	err                         error // of the symbols
}

type need struct {
	name string
	crc  uint64
	weak bool
}

// read reads all modules, on all CPUs, and prints what is wrong with them in the
// order of the modules.
func (p *program) read() {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(p.modules)) {
		wg.Go(func() {
			var r reader
			defer r.room.Free()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(p.modules) {
					return
				}
				m := p.modules[i]
				m.contents = r.read(m.path)
			}
		})
	}
	wg.Wait()
	for _, m := range p.modules {
		if m.damage.Valid() {
			p.log.err(modload.DamageText(m.damage), "\n")
		}
		if m.err != nil && m.err != syscall.ENODATA {
			p.log.err("failed to load symbols from ", m.path, ": ", text(m.err), "\n")
		}
		if m.damage.Valid() {
			// libkmod tries again for the information and for what is needed.
			p.log.err(modload.DamageText(m.damage), "\n")
			p.log.err(modload.DamageText(m.damage), "\n")
		}
	}
}

// reader is what one goroutine reads modules with.
type reader struct {
	room  unpack.Room
	needs []modfile.Need
	names []byte
}

// read reads one file.
func (r *reader) read(path string) (c contents) {
	defer r.room.Done()
	// A file that shrinks while it is mapped is a fault at its end.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if x := recover(); x != nil {
			if _, fault := x.(interface{ Addr() uintptr }); !fault {
				panic(x)
			}
			c = contents{err: syscall.EIO}
		}
	}()
	data, err := r.room.Contents(path)
	if err != nil {
		errors.As(err, &c.damage)
		c.err = err
		return c
	}
	f, err := modfile.New(data)
	if err != nil {
		c.err = err
		return c
	}
	c.exports, c.err = f.Exports()
	info := f.Modinfo()
	for len(info) > 0 {
		line := info
		if i := bytes.IndexByte(info, 0); i >= 0 {
			line, info = info[:i], info[i+1:]
		} else {
			info = nil
		}
		key, value, _ := bytes.Cut(line, []byte("="))
		switch string(key) {
		case "alias":
			c.aliases = append(c.aliases, string(value))
		case "softdep":
			c.softdeps = append(c.softdeps, string(value))
		case "weakdep":
			c.weakdeps = append(c.weakdeps, string(value))
		}
	}
	if r.needs, err = f.Needs(r.needs[:0]); err == syscall.EFBIG {
		return contents{err: err}
	}
	r.keep(&c)
	return c
}

// keep keeps what the file needs, in one allocation for all names.
func (r *reader) keep(c *contents) {
	r.names = r.names[:0]
	for _, n := range r.needs {
		r.names = append(r.names, n.Name...)
	}
	names := string(r.names)
	c.needs = make([]need, len(r.needs))
	for i, n := range r.needs {
		c.needs[i] = need{names[:len(n.Name)], n.CRC, n.Weak}
		names = names[len(n.Name):]
	}
}
