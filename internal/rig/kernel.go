// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"path/filepath"

	"safeload/internal/rig/kernels"
)

// Kernel is one of the matrix.
type Kernel = kernels.Kernel

// dtb finds a device tree in the kernel's own package.
func (p Prepared) dtb(name string) (string, error) {
	top := filepath.Join(p.Dir, "usr/lib/linux-image-"+p.Release)
	for _, pattern := range []string{name, "*/" + name, "*/*/" + name} {
		if found, _ := filepath.Glob(filepath.Join(top, pattern)); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("%s: no %s below it", top, name)
}
