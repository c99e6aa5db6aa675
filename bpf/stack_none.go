// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 && !arm64

package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// Stacks has nothing to read on 32-bit ARM, whose kernels have no BTF.
func Stacks([]int) (map[int]string, error) {
	return nil, fmt.Errorf("iterate over the tasks: %w: no BTF on this architecture", ebpf.ErrNotSupported)
}
