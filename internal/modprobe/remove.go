// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"

	"safeload/kmod"
)

// removeName removes all modules that a name stands for.
func (p *program) removeName(name string) error {
	defer p.Modules.Forget()
	p.Name = name
	list, err := p.Modules.Lookup(name)
	if err == kmod.ErrNotFound {
		return p.fail(syscall.ENOENT, "Module ", name, " not found.\n")
	}
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := p.Remove(m); p.Stopped() {
			return errFatal
		} else if err != nil {
			return err
		}
	}
	return nil
}
