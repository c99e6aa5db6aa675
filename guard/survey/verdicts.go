// SPDX-License-Identifier: Apache-2.0

package survey

import "safeload/internal/registry"

// Verdicts are those of all guards since boot on loads that found their module coming.
type Verdicts struct {
	Independent, WentLive, Refused, Suspected int      // Suspected: refused on suspicion
	Refusals                                  []string // the lines, oldest first
}

// ReadVerdicts reads them from a registry's directory; empty: /run/safeload.
func ReadVerdicts(dir string) Verdicts { return Verdicts(registry.Verdicts(dir)) }
