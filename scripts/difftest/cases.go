// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// batch is how many names one run with -a asks for where there are many.
const batch = 50

// treeCases asks a tree for everything in it, and for some things that are
// not. What does not depend on the tree is asked of the first one only.
func treeCases(t *tree, root string, first bool) (cases []*testCase) {
	n := 1
	if first {
		n = 3
	}
	add := func(names int, args ...string) {
		cases = append(cases, &testCase{root: root, names: names,
			args: append([]string{"modprobe", "-S", t.version}, args...)})
	}
	for i := 0; i < len(t.modules); i += batch {
		names := t.modules[i:min(i+batch, len(t.modules))]
		add(len(names), append([]string{"-aD"}, names...)...)
	}
	for i, name := range sample(t.modules, 20*n) {
		add(1, [...]string{"-D", "-R", "-n", "-rn", "-rD", "-niv", "-Db", "-Di"}[i%8], strings.ReplaceAll(name, "_", "-"))
		add(1, "-D", name, "debug=1", "x=a b", "y=\"q r\"")
	}
	for i, pattern := range sample(t.aliases, 60*n) {
		add(1, [...]string{"-R", "-D", "-Db", "-nv"}[i/4%4], concrete(pattern, i))
	}
	for i := range 4 {
		names := sample(t.aliases, 200)
		for j := range names {
			names[j] = concrete(names[j], i)
		}
		for j := 0; j < len(names); j += batch {
			add(batch, append([]string{"-aR"}, names[j:min(j+batch, len(names))]...)...)
		}
	}
	for i, s := range sample(t.symbols, 15*n) {
		add(1, [...]string{"-R", "-D"}[i%2], s)
	}
	add(len(t.softdeps), append([]string{"-aD"}, t.softdeps...)...)
	add(len(t.softdeps), append([]string{"-raD"}, t.softdeps...)...)
	for _, s := range sample(t.softdeps, 10*n) {
		add(1, "-D", s)
		add(1, "-rD", s)
	}
	for i, s := range sample(t.builtins, 15*n) {
		add(1, [...]string{"-D", "-R", "-rn", "-nv", "--first-time"}[i%5], s)
	}
	for i, s := range sample(t.builtinAliases, 10*n) {
		add(1, [...]string{"-R", "-D"}[i%2], concrete(s, i))
	}
	for _, s := range kernelRequests {
		add(1, "-D", "--", s)
	}
	add(0, "-c")
	// Messages come where the buffer of standard output ends.
	for i := 5; root == "empty" && i < 200; i *= 2 {
		names := append(append(append([]string{"modprobe", "-S", t.version, "-aD"}, sample(t.modules, i)...), "nonesuch"), sample(t.modules, 9)...)
		cases = append(cases, &testCase{root: root, merged: true, names: len(names), args: append(names, "nonesuch", "loop")})
	}
	if !first {
		return cases
	}
	for _, s := range kernelRequests {
		add(1, "-q", "--", s)
	}
	for _, s := range hostileNames() {
		add(1, "-q", "--", s)
		add(1, "-R", "--", s)
		add(1, "-rn", "--", s)
	}
	return cases
}

// kernelRequests are names as the kernel asks for them.
var kernelRequests = []string{
	"net-pf-10", "net-pf-16-proto-9", "net-pf-16-proto-16-family-nl80211", "fs-ext4", "fs-nonesuch",
	"char-major-10-200", "block-major-8-0", "binfmt-464c", "binfmt-0000", "crypto-hmac(sha256)",
	"crypto-hmac(sha256)-all", "crypto-cbc(aes)", "crypto-ecb(aes)", "crypto-ctr(aes)", "crypto-aes",
	"crypto-aes-all", "crypto-crc32c", "algif-hash", "nls_utf8", "nls_cp437", "tty-ldisc-3", "netdev-eth0",
	"xfrm-type-2-50", "rtnl-link-vxlan", "ip6t_REJECT", "ipt_REJECT", "xt_limit", "nft-expr-2-ct",
	"nft-chain-1-nat", "nf-nat-ftp", "tcp_bbr", "tcp-ulp-tls", "personality-8", "md-personality-1",
	"md-raid10", "dm-crypt", "iosched-bfq", "cpufreq_ondemand", "mmc:block", "usb:v0000p0000", "cls_u32",
	"sch_fq", "act_mirred", "net-cls-u32", "net-sch-fq", "sound-slot-0", "sound-service-0-3", "snd-card-0",
	"i2c:nonesuch", "spi:nonesuch", "of:NxT(null)Cbrcm,bcm2835", "platform:reg-dummy", "acpi:PNP0C0A:",
	"pci:v00008086d00001533sv00008086sd00000001bc02sc00i00", "dmi:bvnX:svnY:", "hid:b0003g0001v0000046Dp0000C52B",
	"virtio:d00000001v00001AF4", "input:b0003v046Dp-e0-1,14", "rtc-cmos", "parport_lowlevel", "gameport0",
	"symbol:crc32c", "symbol:nonesuch", "symbol:", "key-type-user", "ima-template", "usbfunc:mass_storage",
}

// hostileNames are names that nobody should ask for and any user can.
func hostileNames() []string {
	return []string{
		"", " ", "-", "--", "---", ".", "..", "../../etc/passwd", "etc/../..", "ext4/../ext4", "ext4.ko", "ext4.ko.xz",
		"\n", "ext4\n", "a\nb", "\x1b[2J", "\x01\x7f\x80\xff", "é", "%s%n%d", "$(id)", "`id`", "a;b", "a|b", "a&b",
		"'", "\"", "a b", "a=b", "\\", "\\*", "*", "?", "ext?", "[", "]", "[]", "[a", "a]", "[a-z]", "[[:alpha:]]",
		"[a-]", "x[1-2]y", "x[1-2", "[\\]", "**************a", "ext4*", "EXT4", "ext4 ", "-ext4", "ext4-", "ext-4",
		"symbol:*", "symbol:[", "alias", "modules.dep", "modules.dep.bin", "kernel", ":", "a:b", "ext4:",
		strings.Repeat("a", 255), strings.Repeat("a", 4094), strings.Repeat("a", 4095), strings.Repeat("a", 4096),
		strings.Repeat("-", 5000), "x" + strings.Repeat("é", 3000), strings.Repeat("[a]", 1000),
		"[" + strings.Repeat("b", 4000), "[" + strings.Repeat("b", 4000) + "]", strings.Repeat("a*", 60),
		"pci:" + strings.Repeat("v", 3000), "/", "./", "/nonesuch", "./nonesuch.ko", "/etc", "/etc/passwd", "//",
	}
}

// optionCases go over the options and their spellings.
//
// In one piece: it is a list of command lines, by option.
func optionCases(t *tree) (cases []*testCase) {
	add := func(env string, args ...string) {
		c := &testCase{root: "rich", args: append([]string{"modprobe"}, args...)}
		if env != "" {
			c.env = append(c.env, env)
		}
		cases = append(cases, c)
	}
	v := t.version
	for _, o := range []string{
		"-h", "--help", "--hel", "-x", "-", "--", "--nonesuch", "--nonesuch=1", "--all=1", "--config", "-C", "-d", "-S",
		"--dirname", "--set-version", "-w", "--wait", "--wait=x", "-w x", "-w12x", "-w ", "-w-1", "-w0x", "-w0x10", "-w 010",
		"-w99999999999999999999", "--a", "--al", "--re", "--rem", "--remove-", "--remove-d", "--remove-h", "--i", "--ignore",
		"--ignore-i", "--ignore-r", "--f", "--force-", "--force-m", "--fi", "--sh", "--show-", "--show-d", "--show-e",
		"--d", "--di", "--dr", "--du", "--s", "--sy", "--se", "--q", "--ver", "--verb", "--vers", "--u", "--r", "-V=1", "-qx",
		"-aq", "-rq", "-Dq", "-c -q", "--use", "-",
	} {
		add("", append([]string{"-S", v}, strings.Split(o, " ")...)...)
		add("", append(append([]string{"-S", v}, strings.Split(o, " ")...), "loop")...)
	}
	for _, args := range [][]string{
		{"loop", "-D", "-S", v}, {"-S", v, "loop", "max_loop=3", "-D"}, {"-D", "-S", v, "--", "loop", "-x"},
		{"-DS", v, "loop"}, {"-DS" + v, "loop"}, {"--set-version=" + v, "--show-depends", "loop"},
		{"--set-v", v, "--show-dep", "loop"}, {"-S", v, "-Da", "loop", "ext4", "nonesuch"},
		{"--all", "--set-version=" + v, "--ignore-install", "--quiet", "--show-depends", "loop", "nonesuch", "ext4"},
		{"-S", v, "-abq", "loop-nonesuch"}, {"-abq", "-S", v, "nonesuch", "alsononesuch"}, {"-S", "nonesuch", "loop"},
		{"-d", "/nonesuch", "loop"}, {"-d", "nonesuch", "loop"}, {"-d", "", "-S", v, "-D", "loop"},
		{"-d", "/", "-S", v, "-D", "loop"}, {"-d", "/tmp/..", "-S", v, "-D", "loop"}, {"-d", ".", "-S", v, "-D", "loop"},
		{"-S", "", "loop"}, {"-S", strings.Repeat("v", 4096), "loop"}, {"-S", strings.Repeat("v", 4000), "loop"},
		{"-S", "../modules/" + v, "-D", "loop"}, {"-S", v, "-D", "./lib/modules/" + v + "/" + t.paths[0]},
		{"-S", v, "-D", "/lib/modules/" + v + "/" + t.paths[0], "x=y"}, {"-S", v, "-D", "/lib/modules/" + v},
		{"-S", v, "-aD", "/lib/modules/" + v + "/" + t.paths[0], "/nonesuch", "loop"},
		{"-S", v, "-r", "/lib/modules/" + v + "/" + t.paths[0]}, {"-S", v, "-R", "/lib/modules/" + v + "/" + t.paths[0]},
		{"-S", v, "loop"}, {"-S", v, "-v", "loop"}, {"-S", v, "-vq", "loop"}, {"-S", v, "-q", "loop"}, {"-S", v, "-i", "loop"},
		{"-S", v, "-f", "loop"}, {"-S", v, "--first-time", "loop"}, {"-S", v, "-r", "loop"}, {"-S", v, "-r", "--first-time", "loop"},
		{"-S", v, "-r", "nonesuch"}, {"-S", v, "-ra", "nonesuch", "loop"}, {"-S", v, "-rq", "nonesuch"}, {"-S", v, "-r"}, {"-S", v},
		{"-S", v, "-nv", "loop"}, {"-S", v, "-n", "loop"}, {"-S", v, "-nvv", "loop"}, {"-S", v, "-vv", "nonesuch"}, {"-S", v, "-rvv", "nonesuch"}, {"-S", v, "-avv", "nonesuch", "loop"}, {"-S", v, "-D", "loop", ""}, {"-S", v, "-D", ""},
		{"-S", v, "-D", "loop", "a", "b=", "c=d e", "=", "f='g h'", "i=j\tk"}, {"-S", v, "--show", "-v", "loop"},
		{"-S", v, "--resolve-alias", "loop"}, {"-S", v, "--showconfig"}, {"-S", v, "--remove-dependencies", "-n", "loop"},
		{"-S", v, "-c", "ignored"}, {"-S", v, "-cq"}, {"-S", v, "-s", "nonesuch"}, {"-S", v, "-sq", "nonesuch"},
		{"-S", v, "--dump-modversions", "loop"}, {"-S", v, "--show-modversions", "loop"}, {"-S", v, "--show-modversions", "nonesuch"},
		{"-S", v, "--show-modversions", "/nonesuch"}, {"-S", v, "--show-modversions", "/etc/passwd"},
		{"-S", v, "--show-exports", "loop"}, {"-S", v, "--show-exports", "cdrom"}, {"-S", v, "--show-exports"},
	} {
		add("", args...)
	}
	for i, path := range sample(t.paths, 24) {
		add("", "-S", v, "--show-modversions", "/lib/modules/"+v+"/"+path)
		add("", "-S", v, "--show-exports", t.modules[i*len(t.modules)/24])
	}
	for _, o := range []string{
		"", " ", "-D", "-D -v", " -D", "-D ", "-D  -v", "'-D'", "\"-D\" -v", "-'D'", "-\"D\"v", "'-D", "-D '", "-D ''", "-d '/' -D",
		"-d'/' -D", "-q", "nonesuch", "-C /etc/nonesuch -D", "-a -D ext4", "-- -D", "-D --", "'a b' -D", "-D\t-v", "-D 'x\"y'", "--nonesuch",
	} {
		add("MODPROBE_OPTIONS="+o, "-S", v, "loop")
	}
	add("POSIXLY_CORRECT=1", "-S", v, "loop", "-D")
	add("KMOD_LOG=debug", "-S", v, "nonesuch")
	add("KMOD_LOG=3", "-S", v, "-D", "loop")
	add("KMOD_LOG=0", "-S", v, "-D", "loop")
	add("KMOD_LOG=err", "-S", v, "-D", "loop")
	for _, name := range []string{"nonesuch", "a\nb", "loop"} {
		for _, o := range [][]string{{}, {"-q"}, {"-v"}, {"-a"}, {"-r"}} {
			args := append(append([]string{"modprobe", "-S", v}, o...), name)
			cases = append(cases, &testCase{root: "rich", closedStderr: true, syslog: true, args: args},
				&testCase{root: "rich", syslog: true, args: append(args, "-s")})
		}
	}
	cases = append(cases, &testCase{root: "rich", closedStderr: true, syslog: true, args: []string{"modprobe"}},
		&testCase{root: "rich", closedStderr: true, syslog: true, args: []string{"modprobe", "-w", "x", "loop"}},
		&testCase{root: "rich", closedStderr: true, syslog: true, args: []string{"modprobe", "--nonesuch"}})
	for _, args := range [][]string{{"insmod", "/nonesuch.ko"}, {"rmmod", "nonesuch"}, {"rmmod", "stp"}, {"lsmod", "extra"}, {"insmod"}} {
		cases = append(cases, &testCase{root: "rich", syslog: true, args: append(args, "-s")})
	}
	return cases
}

// configCases ask for what the rich configuration is about.
func configCases(t *tree) (cases []*testCase) {
	add := func(args ...string) {
		cases = append(cases, &testCase{root: "rich", args: append([]string{"modprobe", "-S", t.version}, args...)})
	}
	names := append([]string{}, richNames...)
	for i := range 12 {
		names = append(names, fmt.Sprintf("glob-%d", i))
	}
	for _, name := range names {
		for _, o := range [][]string{
			{"-D"}, {"-R"}, {"-Db"}, {"-Di"}, {"-nv"}, {"-niv"}, {"-rn"}, {"-rnv"}, {"-rni"}, {"-rD"}, {}, {"-v"}, {"-b"}, {"-bv"}, {"-i"}, {"-q"},
			{"-a"}, {"-aq"}, {"-r"}, {"-rv"}, {"-ra"}, {"-ri"}, {"--first-time"}, {"--first-time", "-r"}, {"-r", "--remove-holders", "-n"},
			{"-r", "-w", "1"}, {"-rv", "-w1"}, {"-f"}, {"-rf"},
		} {
			add(append(append([]string{}, o...), "--", name)...)
		}
		add("-v", name, "extra=1", "text=a b")
		add("-aD", name, name, "loop")
	}
	for _, f := range []string{"/etc/modprobe.d", "/etc/modprobe.d/b.conf", "/etc/odd", "/etc/nonesuch", "/etc/odd/plain", "", "etc/odd"} {
		for _, o := range [][]string{{"-c"}, {"-D", "rich-alias"}, {"-D", "odd"}, {"rich-env"}} {
			add(append([]string{"-C", f}, o...)...)
		}
	}
	add("-C", "/etc/odd/plain", "-C", "/etc/modprobe.d", "-c")
	add("-C", "/etc/odd", "-C", "/etc/odd/plain", "-c")
	return cases
}
