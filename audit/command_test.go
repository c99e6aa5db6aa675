// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"safeload/kmod"
)

func TestCommandLoads(t *testing.T) {
	for command, want := range map[string][]commanded{
		"/bin/true": nil,
		"/sbin/modprobe --ignore-install snd && { /sbin/modprobe -q snd-ioctl32; : ; }": {{name: "snd", direct: true}, {name: "snd-ioctl32"}},
		"/bin/sh -c 'env -i /sbin/modprobe -q b'":                                       {{name: "b"}},
		"modprobe -a one two; insmod /lib/modules/x/three.ko.xz a=1":                    {{name: "one"}, {name: "two"}, {name: "three", direct: true}},
		"modprobe -r gone; modprobe $CMDLINE_OPTS kept opt=1":                           {{name: "kept"}},
		"modprobe -C /etc/other other":                                                  {{name: "other"}},
		"safeload-modprobe x":                                                           {{name: "x"}},
		"/usr/local/bin/setup.sh modprobe":                                              nil,
	} {
		if diff := cmp.Diff(want, commandLoads(command), cmp.AllowUnexported(commanded{})); diff != "" {
			t.Errorf("%s: %s", command, diff)
		}
	}
}

// What an install command loads belongs to the name's load, as a weak step.
func TestInstallCommands(t *testing.T) {
	all := []*facts{{name: "a", file: "a.ko"}, {name: "b", file: "b.ko", depends: []string{"a"}}, {name: "c", file: "c.ko"}}
	config := &kmod.Config{Install: []kmod.Directive{
		{Name: "some_alias", Value: "/sbin/modprobe b"},
		{Name: "c", Value: "/sbin/modprobe --ignore-install c && /sbin/modprobe a"},
		{Name: "loop", Value: "/sbin/modprobe loop"},
	}}
	r := newResolver(all, config)
	loads := func(name string) (got []string) {
		for _, m := range r.lookup(name) {
			for _, l := range r.plan(m.module) {
				how := ""
				if m.weak+l.weak != "" {
					how = " weak"
				}
				got = append(got, l.module+how)
			}
		}
		return got
	}
	for name, want := range map[string][]string{
		"some-alias": {"a weak", "b weak"}, "b": {"a", "b"}, "c": {"c", "a weak"}, "loop": nil, "nothing": nil,
	} {
		if diff := cmp.Diff(want, loads(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
