// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"io"
	"strings"

	"safeload/internal/plain"
)

// Print writes the report as a table for people, with what to change at its end.
// With all it lists each hook that is there; without, it counts them.
func (r *Report) Print(w io.Writer, all bool) error {
	var b strings.Builder
	width := 0
	for _, c := range r.Checks {
		width = max(width, len(c.Name))
	}
	area, hooks := "", 0
	for _, c := range r.Checks {
		if c.Area == "probe" && c.Level == OK && !all {
			hooks++
			continue
		}
		if c.Area != area {
			if hooks > 0 {
				plain.Fprintf(&b, "  %-7s  %-*s  %d more, all there\n", OK, width, "hooks", hooks)
				hooks = 0
			}
			area = c.Area
			plain.Fprintf(&b, "%s\n", area)
		}
		plain.Fprintf(&b, "  %-7s  %-*s  %s\n", c.Level, width, c.Name, c.Value)
		if c.Why != "" && (c.Level != OK || all) {
			plain.Fprintf(&b, "  %-7s  %-*s    %s\n", "", width, "", c.Why)
		}
	}
	var fixes []string
	seen := map[string]bool{}
	for _, c := range r.Checks {
		if c.Fix != "" && !seen[c.Fix] {
			seen[c.Fix] = true
			fixes = append(fixes, plain.Sprintf("  %s  (%s: %s)\n", c.Fix, c.Name, c.Value))
		}
	}
	if len(fixes) > 0 {
		b.WriteString("\nto change\n" + strings.Join(fixes, ""))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
