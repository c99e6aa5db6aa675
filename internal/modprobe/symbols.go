// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"strconv"
	"syscall"

	"safeload/internal/modfile"
	"safeload/internal/modload"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// open reads a module's file; ENOENT if the module has none.
func (p *program) open(m *kmod.Module) (*modfile.File, error) {
	path := m.Path()
	if path == "" {
		return nil, syscall.ENOENT
	}
	data, err := p.env.System.Image(path)
	if err != nil {
		modload.TellDamage(p, err)
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
		return p.fail(err, "could not get ", what, " of ", m.Name, ": ", strerror.Text(modload.Errno(err)), "\n")
	}
	for _, s := range list {
		crc := strconv.FormatUint(s.CRC, 16)
		for len(crc) < 8 {
			crc = "0" + crc
		}
		p.out.print("0x", crc, "\t", s.Name, "\n")
	}
	return nil
}
