// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"

	"safeload/kmod"
)

func (p *program) printModversions(m *kmod.Module) error { return syscall.ENOSYS }
func (p *program) printExports(m *kmod.Module) error     { return syscall.ENOSYS }
