// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"

	"safeload/internal/strerror"
	"safeload/kmod"
	"safeload/kmod/modfile"
)

// open reads a module's file; ENOENT if the module has none.
func (p *program) open(m *kmod.Module) (*modfile.File, error) {
	path := m.Path()
	if path == "" {
		return nil, syscall.ENOENT
	}
	data, err := p.env.Image(path)
	if err != nil {
		return nil, err
	}
	return modfile.New(data)
}

func (p *program) printModversions(m *kmod.Module) error {
	f, err := p.open(m)
	var list []modfile.Symbol
	if err == nil {
		list, err = f.Modversions()
	}
	return p.printSymbols("modversions", m, list, err)
}

func (p *program) printExports(m *kmod.Module) error {
	f, err := p.open(m)
	var list []modfile.Symbol
	if err == nil {
		list, err = f.Exports()
	}
	return p.printSymbols("symbols", m, list, err)
}

func (p *program) printSymbols(what string, m *kmod.Module, list []modfile.Symbol, err error) error {
	if err != nil {
		p.log.log(p.fatal, "could not get ", what, " of ", m.Name, ": ", strerror.Text(errnoOf(err)), "\n")
		return err
	}
	for _, s := range list {
		crc := hex(s.CRC)
		for len(crc) < 8 {
			crc = "0" + crc
		}
		p.out.print("0x", crc, "\t", s.Name, "\n")
	}
	return nil
}

func hex(n uint64) string {
	const digits = "0123456789abcdef"
	var b [16]byte
	i := len(b)
	for {
		i--
		b[i] = digits[n&15]
		if n >>= 4; n == 0 {
			return string(b[i:])
		}
	}
}
