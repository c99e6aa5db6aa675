// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"
)

// What the guests take away must be what the unit takes away.
func TestUnitRights(t *testing.T) {
	f, err := os.Open("../../../../packaging/systemd/safeload-watch.service")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var want []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if list, ok := strings.CutPrefix(lines.Text(), "CapabilityBoundingSet="); ok {
			want = append(want, strings.Fields(list)...)
		}
	}
	var got []string
	for name := range unitRights {
		got = append(got, name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("vmtool keeps %v, the unit %v", got, want)
	}
}
