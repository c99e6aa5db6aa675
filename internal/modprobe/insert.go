// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"strings"
	"syscall"

	"safeload/internal/modload"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// The first step of a load: the names among modprobe's arguments. Before it
// modprobe.go and options.go have read the options; after it kmod/lookup.go finds the
// modules of each name.

// insert loads all modules that a name stands for. The last one's result is
// the result.
func (p *program) insert(name, params string) (err error) {
	defer p.Modules.Forget()
	p.Name = name
	list, err := p.resolve(name)
	for _, m := range list {
		err = p.insertModule(m, params)
	}
	return err
}

// resolve finds the modules of a name, or the one of a path.
func (p *program) resolve(name string) (list []*kmod.Module, err error) {
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") {
		m, err := p.Modules.ByPath(name)
		if err != nil {
			return nil, p.fail(syscall.ENOENT, "Failed to get module from path ", name, ": ", strerror.Text(modload.Errno(err)), "\n")
		}
		return []*kmod.Module{m}, nil
	}
	list, err = p.Modules.Lookup(name)
	if err != nil {
		return nil, p.fail(syscall.ENOENT, "Module ", name, " not found in directory ", p.Modules.Dir, "\n")
	}
	return list, nil
}

func (p *program) insertModule(m *kmod.Module, params string) error {
	if p.lookupOnly {
		p.out.print(m.Name, "\n")
		return nil
	}
	err := p.Load(m, params)
	if err == modload.ErrBlacklisted {
		return nil
	}
	if err == nil || p.env.System.Refused(err) {
		return err
	}
	switch e := modload.Errno(err); e {
	case syscall.EEXIST:
		p.log.err("could not insert '", m.Name, "': Module already in kernel\n")
	case syscall.ENOENT:
		p.log.err("could not insert '", m.Name, "': Unknown symbol in module, or unknown parameter (see dmesg)\n")
	default:
		p.log.err("could not insert '", m.Name, "': ", strerror.Text(e), "\n")
	}
	return err
}
