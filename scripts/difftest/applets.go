// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"
	"strings"
)

// appletCases run the programs beside modprobe.
//
// In one piece: it is a list of command lines, by program.
func appletCases(trees []*tree) (cases []*testCase) {
	add := func(names int, args ...string) {
		cases = append(cases, &testCase{root: "rich", names: names, args: args})
	}
	for _, t := range trees {
		dir := "/lib/modules/" + t.version + "/"
		for i := 0; i < len(t.modules); i += 10 * batch {
			names := sample(t.modules[i:min(i+5*batch, len(t.modules))], batch)
			add(len(names), append([]string{"modinfo", "-k", t.version}, names...)...)
		}
		for i, path := range sample(t.paths, 16) {
			name := t.modules[i*len(t.modules)/16]
			add(1, "modinfo", dir+path)
			add(1, "modinfo", [...]string{"-a", "-d", "-l", "-p", "-n", "-0", "-m", "-0p"}[i%8], "-k", t.version, name)
			add(1, "modinfo", "-F", [...]string{"vermagic", "depends", "parm", "parmtype", "name", "nonesuch", "sig_key", "alias"}[i%8],
				"-k", t.version, name)
		}
		for i, pattern := range sample(t.aliases, 20) {
			add(1, "modinfo", "-k", t.version, "-F", "filename", concrete(pattern, i))
		}
		for _, name := range sample(t.builtins, 10) {
			add(1, "modinfo", "-k", t.version, name)
			add(1, "modinfo", "-mk", t.version, name)
		}
		for _, name := range sample(t.builtinAliases, 10) {
			add(1, "modinfo", "-k", t.version, concrete(name, 0))
		}
	}
	t := trees[0]
	for _, args := range [][]string{
		{}, {"-h"}, {"-x"}, {"--nonesuch"}, {"--f"}, {"-F"}, {"nonesuch"}, {"/nonesuch.ko"}, {"/etc"}, {"./x.ko"}, {"-m", "nonesuch"},
		{"-k", "nonesuch", "loop"}, {"-b", "/nonesuch", "loop"}, {"-b", "/", "-k", t.version, "loop"}, {"--basedir=/", "--set-version=" + t.version, "-n", "loop"},
		{"-k", t.version, "loop", "nonesuch", "ext4"}, {"-k", t.version, "a]"}, {"-k", t.version, ""}, {"."}, {".."}, {"/"}, {"./"}, {"-m", "."}, {"-m", ""}, {"-m", "/etc"}, {"/dev/null"},
		{"/etc/odd/x.ko"}, {"damaged/whole.ko"}, {"./damaged/whole.ko"}, {"-n", "/damaged/whole.ko"}, {"-m", "/damaged/whole.ko"}, {"-F", "", "-k", t.version, "loop"}, {"-k", t.version, "[a"},
		{"-k", t.version, "-m", "rich-alias"}, {"-k", t.version, "-m", "lo-op"}, {strings.Repeat("m", 4096)}, {"-k", strings.Repeat("v", 4096), "loop"}, {"-k", "", "loop"}, {"-b", "", "-k", t.version, "loop"}, {"-k", t.version, "symbol:nonesuch"},
		{"/damaged/empty.ko"}, {"/damaged/short.ko"}, {"/damaged/text.ko"}, {"/damaged/elf.ko"},
		{"--parameters", "--null", "-k", t.version, "loop"}, {"--license", "-k", t.version, "loop"}, {"-k", t.version, "rich-alias"},
	} {
		add(0, append([]string{"modinfo"}, args...)...)
	}
	loop := "/lib/modules/" + t.version + "/" + t.paths[0]
	for _, args := range [][]string{
		{}, {"-h"}, {"-x"}, {"-"}, {"nonesuch"}, {"/nonesuch.ko"}, {loop}, {"-f", loop}, {"-v", loop, "a=b c"}, {"--force", loop}, {"--force-m", loop},
		{"-s", "nonesuch"}, {"/damaged/empty.ko"}, {"/damaged/text.ko"}, {"/etc"}, {"loop"}, {"./"}, {""}, {"-Vx"}, {"."}, {".."}, {"/"}, {"//"}, {"/etc/"}, {"-", "x"}, {"--", "-"}, {"lib/modules/../modules"}, {"/dev/null"},
		{"/damaged/short.ko"}, {"/damaged/elf.ko"}, {"-f", "/damaged/elf.ko"}, {"-f", "/damaged/text.ko"}, {strings.Repeat("m", 4096)}, {"/damaged/whole.ko", "a=b c", "d", "e=\"f g\""},
		{"-vvv", "nonesuch"}, {"-vvv", "/damaged/empty.ko"}, {"--verbose", loop, "x"},
	} {
		add(0, append([]string{"insmod"}, args...)...)
	}
	for _, args := range [][]string{
		{}, {"-h"}, {"-x"}, {"nonesuch"}, {"ext4"}, {"jbd2"}, {"mbcache"}, {"crc16"}, {"fat"}, {"vfat"}, {"stp"}, {"llc"}, {"bridge"}, {"sl-going"}, {"-f", "ext4"},
		{"-f", "nonesuch"}, {"-v", "mbcache"}, {"-s", "nonesuch"}, {"nonesuch", "mbcache", "ext4"}, {"/etc"}, {"/"}, {"a/b"}, {"."}, {".."}, {"./"}, {"../"}, {"/."}, {"//"}, {"/etc/"}, {"/etc/odd/.."}, {"lib/modules"},
		{"/etc/passwd"}, {"nonesuch/."}, {"/dev/null"}, {"a.b"}, {"mbcache.ko"}, {"mb-cache"}, {"mbcache/"}, {"-"}, {"--", "-x"}, {"[a"}, {strings.Repeat("m", 255)},
		{strings.Repeat("m", 4096)}, {"a/b/c"}, {"/damaged"}, {"damaged/whole.ko"}, {"-v", "nonesuch"}, {"-vvv", "mbcache"}, {"a\nb"}, {"../module/mbcache"}, {""},
		{loop}, {"--force", "mbcache", "stp"}, {"--wait", "x"}, {"-w"},
	} {
		add(0, append([]string{"rmmod"}, args...)...)
	}
	for _, name := range slices.Sorted(maps.Keys(damagedModules(t))) {
		path := "/damaged/" + name
		add(0, "modinfo", path)
		add(0, "insmod", path)
		add(0, "insmod", "-f", path)
		add(0, "insmod", "-vvv", path)
		add(0, "modprobe", "--show-modversions", path)
		add(0, "modprobe", path)
		add(0, "modprobe", "-q", path)
	}
	// The directory by the name that the shell has for it, or by the kernel's.
	for _, pwd := range []string{"/short", "/damaged/../short/.", "/etc", "/nonesuch", "short", ".", ""} {
		for _, args := range [][]string{
			{"modinfo", "-n", "whole.ko"}, {"modinfo", "-b", ".", "nonesuch"}, {"insmod", "-vvv", "whole.ko"}, {"modprobe", "-D", "./whole.ko"},
			{"modprobe", "-d", ".", "nonesuch"}, {"modprobe", "-d", "x", "-S", "y", "nonesuch"}, {"rmmod", "whole.ko"},
		} {
			cases = append(cases, &testCase{root: "rich", dir: "/short", env: []string{"PWD=" + pwd}, args: args})
		}
	}
	for _, args := range [][]string{{}, {"-h"}, {"-x"}, {"extra"}, {"-v"}, {"-s"}, {"-sx"}} {
		add(0, append([]string{"lsmod"}, args...)...)
		for _, root := range []string{"empty", "odd"} {
			cases = append(cases, &testCase{root: root, args: append([]string{"lsmod"}, args...)})
		}
	}
	for _, args := range [][]string{{"modinfo", "nonesuch"}, {"modinfo", "-k", t.version, "-n", "loop"}, {"lsmod", "-x"}, {"modprobe", "-S", t.version, "-R", "loop"}} {
		cases = append(cases, &testCase{root: "rich", env: []string{"KMOD_LOG=info"}, args: args})
	}
	for _, m := range []string{"plus", "tab", "space", "hex", "huge", "vertical"} {
		cases = append(cases, &testCase{root: "odd", args: []string{"rmmod", m}}, &testCase{root: "odd", args: []string{"modprobe", "-r", m}})
	}
	for _, name := range sample(t.builtins, 2) {
		cases = append(cases, &testCase{root: "odd", args: []string{"modinfo", "-k", oddVersion, name}})
	}
	return cases
}
