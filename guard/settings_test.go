// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"
	"time"

	"safeload/internal/conf"
)

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name     string
		set      conf.Settings
		given    time.Duration
		watches  bool
		patience time.Duration
	}{
		{"default", conf.Default(), 0, true, conf.DefaultPatience},
		{"given wins", conf.Settings{Patience: time.Second}, time.Minute, true, time.Minute},
		{"never on suspicion", conf.Settings{}, 0, true, -1},
		{"proven only", conf.Settings{Patience: time.Second, Policy: conf.Proven}, 0, true, -1},
		{"off", conf.Settings{Policy: conf.Off}, 0, false, -1},
		{"exempt", conf.Settings{Patience: time.Second, Exempt: []string{"a-mod"}}, 0, false, time.Second},
	} {
		read := 0
		g := New(Options{Patience: c.given})
		g.settings = func(conf.WarnFunc) conf.Settings { read++; return c.set }
		if read != 0 {
			t.Errorf("%s: read before anything was coming", c.name)
		}
		if got := g.watches("a_mod"); got != c.watches || g.o.Patience != c.patience {
			t.Errorf("%s: watches %v with patience %v, want %v with %v", c.name, got, g.o.Patience, c.watches, c.patience)
		}
		g.watches("a_mod")
		if read != 1 {
			t.Errorf("%s: settings read %d times, want once", c.name, read)
		}
	}
}

func TestSettingsFault(t *testing.T) {
	g := New(Options{Log: func(string) {}})
	g.settings = func(conf.WarnFunc) conf.Settings { panic("damaged") }
	if !g.watches("m") || g.o.Patience != conf.DefaultPatience {
		t.Error("a fault of the reader does not leave the defaults")
	}
}
