// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"

	"safeload/bpf"
)

// printProbe prints whether a probe stays in the kernel.
func printProbe(w io.Writer) {
	switch p, err := bpf.Find(bpf.PinDir); {
	case err != nil: // not root: cannot be read
	case p == nil:
		fmt.Fprintln(w, "no probe stays in the kernel (safeload doctor says whether one can)")
	default:
		_ = reportOf(p, "").print(w)
	}
}

// probeAsJSON writes that as a JSON object.
func probeAsJSON(w io.Writer) error {
	p, err := bpf.Find(bpf.PinDir)
	if err != nil {
		return nil
	}
	return json.NewEncoder(w).Encode(reportOf(p, ""))
}
