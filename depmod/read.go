// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"safeload/finit"
	"safeload/finit/unpack"
	"safeload/internal/modload"
	"safeload/kmod/modfile"
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

// maxNames bounds what is kept of one module: a table of symbols can say the
// same long name any number of times.
const maxNames = 64 << 20

var loader = finit.Loader{Unpack: unpack.InProcess}

// read reads all modules, by all CPUs, and prints what is wrong with them in
// their order.
func (p *program) read() {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(p.modules)) {
		wg.Go(func() {
			var list []modfile.Need
			for {
				i := int(next.Add(1)) - 1
				if i >= len(p.modules) {
					return
				}
				m := p.modules[i]
				m.contents, list = readModule(m.path, list)
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

// readModule reads one file; list is used again.
func readModule(path string, list []modfile.Need) (c contents, _ []modfile.Need) {
	// A file that shrinks while it is mapped is a fault at its end.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, fault := r.(interface{ Addr() uintptr }); !fault {
				panic(r)
			}
			c = contents{err: syscall.EIO}
		}
	}()
	data, err := loader.Contents(path)
	if err != nil {
		errors.As(err, &c.damage)
		c.err = err
		return c, list
	}
	defer finit.Unmap(data)
	f, err := modfile.New(data)
	if err != nil {
		c.err = err
		return c, list
	}
	c.exports, c.err = f.Exports()
	info, _ := f.Info()
	for _, l := range info {
		switch l.Key {
		case "alias":
			c.aliases = append(c.aliases, l.Value)
		case "softdep":
			c.softdeps = append(c.softdeps, l.Value)
		case "weakdep":
			c.weakdeps = append(c.weakdeps, l.Value)
		}
	}
	list, _ = f.Needs(list[:0])
	size := 0
	for _, n := range list {
		if size += len(n.Name); size > maxNames {
			return contents{err: syscall.EFBIG}, nil
		}
	}
	var b strings.Builder // one allocation for all names
	b.Grow(size)
	for _, n := range list {
		b.Write(n.Name)
	}
	names := b.String()
	c.needs = make([]need, len(list))
	for i, n := range list {
		c.needs[i] = need{names[:len(n.Name)], n.CRC, n.Weak}
		names = names[len(n.Name):]
	}
	return c, list
}
