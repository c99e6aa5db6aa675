// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"strconv"
	"syscall"

	"safeload/finit"
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
		p.tellDamage(err)
		return nil, err
	}
	return modfile.New(data)
}

// tellDamage says what libkmod says when it cannot decompress a file, or
// cannot force one that it has decompressed.
func (p *program) tellDamage(err error) {
	if e, ok := err.(*finit.Error); ok && e.Op == "strip" && errnoOf(err) == syscall.ENODATA {
		p.log.lib(kmod.LogErr, "do_init_module", "Failed to strip version information: "+strerror.Text(syscall.ENODATA)+"\n")
	}
	if d := finit.DamageOf(err); d != 0 {
		p.log.lib(kmod.LogErr, d.Function(), d.Error()+"\n")
	}
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
		crc := strconv.FormatUint(s.CRC, 16)
		for len(crc) < 8 {
			crc = "0" + crc
		}
		p.out.print("0x", crc, "\t", s.Name, "\n")
	}
	return nil
}
