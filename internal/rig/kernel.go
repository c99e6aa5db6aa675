// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"path/filepath"
	"strings"

	"safeload/internal/rig/kernels"
)

// Kernel is one of the matrix.
type Kernel = kernels.Kernel

// deviceTree finds the device tree that a board's machine boots with: the given file, or that of the kernel's package, of the
// tree that modules_install and dtbs_install filled, or of the tree that the kernel was built in.
func (k *kitchen) deviceTree(p Prepared, m Machine) (string, error) {
	if k.options.DTB != "" {
		return k.options.DTB, nil
	}
	places := []string{filepath.Join(p.Dir, "usr/lib/linux-image-"+p.Release)}
	if k.options.Image != "" {
		places = []string{filepath.Join(k.options.Modules, "usr/lib/linux-image-"+p.Release), filepath.Join(k.options.Modules, "boot/dtbs", p.Release)}
		if k.options.Headers != "" {
			places = append(places, filepath.Join(k.options.Headers, "arch", kernels.ToolchainFor(m.Arch).Kbuild, "boot/dts"))
		}
	}
	for _, place := range places {
		for _, pattern := range []string{m.DTB, "*/" + m.DTB, "*/*/" + m.DTB} {
			if found, _ := filepath.Glob(filepath.Join(place, pattern)); len(found) > 0 {
				return found[0], nil
			}
		}
	}
	err := fmt.Errorf("%s boots with %s, which is not below %s", m.Name, m.DTB, strings.Join(places, " or "))
	if k.options.Image != "" {
		err = fmt.Errorf("%w: name the file with --dtb, or the tree that the kernel was built in (make dtbs) with --headers", err)
	}
	return "", err
}
