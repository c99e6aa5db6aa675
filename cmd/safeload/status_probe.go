// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"

	"safeload/bpf"
)

// printProbe says whether the guard has a probe that stays in the kernel.
func printProbe(w io.Writer) {
	switch p, err := bpf.Find(bpf.PinDir); {
	case err != nil: // not root: nothing is known of it
	case p == nil:
		fmt.Fprintln(w, "no probe stays in the kernel (safeload doctor says whether one can)")
	default:
		_ = reportOf(p, "").print(w)
	}
}

// probeAsJSON writes the same as an object.
func probeAsJSON(w io.Writer) error {
	p, err := bpf.Find(bpf.PinDir)
	if err != nil {
		return nil
	}
	return json.NewEncoder(w).Encode(reportOf(p, ""))
}
