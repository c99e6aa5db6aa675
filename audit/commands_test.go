// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safeload/kmod"
)

// config takes lines of modprobe.d.
func configOf(lines ...string) *kmod.Config {
	c := &kmod.Config{}
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		d := kmod.Directive{Name: f[1], Value: f[2]}
		switch f[0] {
		case "install":
			c.Install = append(c.Install, d)
		case "remove":
			c.Remove = append(c.Remove, d)
		case "alias":
			c.Aliases = append(c.Aliases, d)
		case "softdep":
			c.Softdeps = append(c.Softdeps, d)
		default:
			panic(l)
		}
	}
	return c
}

func TestCommandLoops(t *testing.T) {
	all := []*facts{{name: "a", file: "a.ko", aliases: []string{"of_a"}}, {name: "b", file: "b.ko", depends: []string{"a"}}, {name: "c", file: "c.ko"}}
	for name, tt := range map[string]struct {
		lines []string
		want  []string
	}{
		"itself":                   {[]string{"install a modprobe a"}, []string{"certain install a"}},
		"no module":                {[]string{"install x /sbin/modprobe -q x"}, []string{"certain install x"}},
		"each other":               {[]string{"install a modprobe c", "install c exec modprobe a"}, []string{"certain install a c"}},
		"by an alias of a file":    {[]string{"install a modprobe of-a"}, []string{"certain install a"}},
		"by an alias line":         {[]string{"install a modprobe z", "alias z a"}, []string{"certain install a"}},
		"by a soft dependency":     {[]string{"install a modprobe c", "softdep c pre: a"}, []string{"certain install a"}},
		"by a dependency":          {[]string{"install a modprobe b"}, []string{"certain install a"}},
		"by a pattern":             {[]string{"install c* modprobe c"}, []string{"certain install c"}},
		"remove":                   {[]string{"remove a modprobe -r a"}, []string{"certain remove a"}},
		"remove to load to remove": {[]string{"remove a modprobe c", "install c modprobe -r a"}, []string{"certain install c a"}},
		"more to the shell":        {[]string{"install a [ -e /x ] || modprobe a"}, []string{"likely install a"}},
		"one of two":               {[]string{"install a modprobe c", "install c modprobe a; true"}, []string{"likely install a c"}},
		"two":                      {[]string{"install a modprobe a", "install c modprobe c"}, []string{"certain install a", "certain install c"}},

		"not its own command":          {[]string{"install a modprobe --ignore-install a"}, nil},
		"with programs between":        {[]string{"install a sh -c 'true; env A=b modprobe -i a'"}, nil},
		"other, then itself":           {[]string{"install a modprobe c && modprobe -i a"}, nil},
		"with -i of what needs it not": {[]string{"install a modprobe -i c", "softdep c pre: a"}, nil},
		"soft dependencies of itself":  {[]string{"install a modprobe a", "softdep a pre: c"}, nil},
		"only looks":                   {[]string{"install a modprobe -n a", "remove a modprobe -R a"}, nil},
		"removed, not loaded":          {[]string{"install a modprobe -r a"}, nil},
		"not reached":                  {[]string{"install a modprobe c", "install b modprobe a"}, nil},
		"the first line counts":        {[]string{"install a /bin/true", "install a modprobe a"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range commandLoops(newResolver(all, configOf(tt.lines...))) {
				s := f.Rank.String() + " " + f.Command
				for _, h := range f.Hops {
					s += " " + h.Module
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// However long the ring is, or what leads to one.
func TestLongCommandLoops(t *testing.T) {
	const n = 20000
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("install r%05d modprobe r%05d", i, (i+1)%n))
		lines = append(lines, fmt.Sprintf("install s%05d modprobe s%05d", i, i+1))
	}
	slices.Reverse(lines)
	found := commandLoops(newResolver(nil, configOf(lines...)))
	if len(found) != 1 || len(found[0].Hops) != n || found[0].Rank != Certain || found[0].Module != "r00000" {
		t.Errorf("%d findings", len(found))
	}
	// Beyond any depth, what a chain of commands loads at its end is known.
	lines = append(lines, fmt.Sprintf("install s%05d modprobe a", n))
	r := newResolver([]*facts{{name: "a", file: "a.ko"}}, configOf(lines...))
	if m := r.lookup("s19900"); len(m) != 1 || m[0].module != "a" {
		t.Errorf("the chain leads to %v", m)
	}
}

func TestCommandLoopTitle(t *testing.T) {
	f := commandLoops(newResolver(nil, configOf("install a modprobe c", "install c modprobe a")))[0]
	if want := "the install command of a leads back to itself: a runs modprobe for c -> c runs modprobe for a -> a"; f.Title() != want {
		t.Errorf("%s", f.Title())
	}
}
