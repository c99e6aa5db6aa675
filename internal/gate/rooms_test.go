// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strings"
	"testing"
)

func TestRooms(t *testing.T) {
	const text = "# C\n\n`stray` is named elsewhere.\n\n## Rooms\n\n| Package | Is about |\n|---|---|\n" +
		"| `kmod` | names; `kmod/modfile`: files |\n| `guard` | verdicts |\n\n### Style\n\n`other`\n"
	for _, tt := range []struct{ what, packages, want string }{
		{"all of them", "m/kmod\nm/kmod/modfile\nm/guard\nm/scripts/gate\nm/completion\n", ""},
		{"one is not in the section", "m/kmod\nm/kmod/modfile\nm/guard\nm/stray\nm/other\n", "`stray` is about\nCONTRIBUTING.md: the table of packages does not say what `other`"},
		{"one is gone", "m/kmod\nm/kmod/modfile\n", "`guard`, which is none"},
	} {
		got := ""
		if err := rooms(text, tt.packages); err != nil {
			got = err.Error()
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q", tt.what, got)
		}
	}
}
