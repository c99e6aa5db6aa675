// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"slices"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	if want := []string{"audit", "doctor", "log", "probe", "record", "survey", "timeline", "watch"}; !slices.Equal(Names(), want) {
		t.Errorf("%q, want %q", Names(), want)
	}
	const summary = `{"schema":1,"type":"summary","tasks_looked_at":7,"took_s":0.5,"findings":0}`
	for _, c := range []struct {
		name, text string
		types      string
		fails      string
	}{
		{"survey", summary + "\n" + summary, "summary summary", ""},
		{"survey", strings.Replace(summary, `"findings":0`, `"findings":"none"`, 1), "", "object 1"},
		{"survey", strings.Replace(summary, `"schema":1`, `"schema":2`, 1), "", "object 1"},
		{"survey", strings.Replace(summary, `"findings":0`, `"findings":0,"new":1`, 1), "", "object 1"},
		{"survey", summary + `{"schema":1,"type":"summary"}`, "summary", "object 2"},
		{"survey", summary + "{", "summary", "object 2"},
		{"survey", "", "", "no object"},
		{"nonesuch", summary, "", "no schema"},
	} {
		types, err := Check(c.name, strings.NewReader(c.text))
		if strings.Join(types, " ") != c.types || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s %s: %q, %v; want %q, %q", c.name, c.text, types, err, c.types, c.fails)
		}
	}
	for _, name := range Names() {
		if _, err := Check(name, strings.NewReader("{}")); err == nil {
			t.Errorf("%s: anything goes", name)
		}
	}
}
