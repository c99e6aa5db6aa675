// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
)

// richNames are the names that richConfig gives a meaning.
var richNames = []string{
	"rich-alias", "rich_alias", "rich-two", "rich-chain", "rich-chain2", "rich-nomod", "rich-bl", "rich-blname", "rich-cmd",
	"rich-cmdfail", "rich-sig", "rich-env", "rich-opts", "rich-soft", "rich-softcmd", "rich-softbad", "rich-softspace", "rich-softloop",
	"rich-remove", "rich-masked", "rich-only-usr", "rich-escape", "rich-cont", "rich-nul", "rich-opt-alias", "rich-x86-y", "rich[3]", "rich3",
	"dm-mod", "loop", "ext4", "nbd", "cdrom", "jbd2", "crc16", "mbcache", "fat", "vfat", "dummy", "ifb", "veth", "bridge", "stp", "llc",
	"coming-mod", "state-live", "softglobA", "odd", "rich-noeol", "rich-loopcmd",
}

// oddVersion is a tree whose modules.builtin.modinfo is a directory.
const oddVersion = "0.0-odd"

// oddState is what no kernel says: numbers in other forms, lines of
// /proc/modules that are short, long, double or without a size.
func oddState(t *tree) (map[string]string, error) {
	files := map[string]string{
		"proc/modules": "plus 0x10 0 - Live 0x0\ntab\nspace \n\na-dash 55 2 -\ndouble 1 0\ndouble 2 0\nhex -5 0 -\n" +
			"huge 99999999999999999999 0\n  vertical\t+77\t0\nlong 12 1 " + strings.Repeat("a,", 3000) + "\n" +
			strings.Repeat("n", 200) + " 7 3\nnotinsys 8 0\nlast",
		"lib/modules/" + oddVersion + "/modules.builtin.modinfo/x": "",
	}
	for name, number := range map[string]string{
		"plus": "+1\n", "tab": "1\t\n", "space": " -1\n", "hex": "0x1\n", "huge": "99999999999999999999\n", "vertical": "7\v",
		"a_dash": "2\n", "double": "-9223372036854775808\n", "long": "2147483648\n", "last": "1",
	} {
		dir := "sys/module/" + name
		files[dir+"/initstate"], files[dir+"/refcnt"] = "live\n", number
		files[dir+"/holders/x"] = ""
		if name == "plus" || name == "vertical" {
			files[dir+"x/coresize"], files[dir+"x/refcnt"] = number, number
			files["proc/modules"] = name + "x 1 1\n" + files["proc/modules"]
		}
	}
	for _, index := range [...]string{"dep", "alias", "symbols", "builtin", "builtin.alias"} {
		b, err := os.ReadFile(filepath.Join(t.dir, "modules."+index+".bin"))
		if err != nil {
			return nil, err
		}
		files["lib/modules/"+oddVersion+"/modules."+index+".bin"] = string(b)
	}
	return files, nil
}

// richConfig is a configuration with everything in it, and states of modules.
//
// In one piece: it is a table of files, each with what it is there for.
func richConfig(trees []*tree) map[string]string {
	files := map[string]string{
		"proc/cmdline": `BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet loop.max_loop=5 modprobe.blacklist=nbd,cdrom-x, ` +
			`"veth.dyndbg=file drivers/net/veth.c +p" dummy.numdummies="2 3" bad..x=1 a.b.c=1 noval.flag nodot=1 "open.x=1 ` +
			`"fat.x=1" usb-storage.quirks=0:0 [x.y=1 ifb.numifbs=1	tab.x=2` + "\n",
		"etc/modprobe.d/a.conf": `# comment
   # indented comment
alias rich-alias loop
alias rich-two loop
alias rich-two ext4
alias rich-t* nbd
alias rich-chain rich-chain2
alias rich-chain2 loop
alias rich-nomod nonesuch-module
alias rich-bl nbd
alias rich-blname cdrom
alias rich-opt-alias fat
alias rich-x86-[xyz] dummy
alias glob-[0-9] ifb
alias glob-* veth
options rich-opt-alias by_alias=1
options fat	tab=1	tab=2
options  fat   spaces = 3
options loop max_part=15
options loop max_loop=8
options ext4
blacklist nbd
blacklist cdrom
blacklist rich-blname
install rich-cmd echo cmd $MODPROBE_MODULE $CMDLINE_OPTS end
install rich-cmdfail echo failing >&2; exit 3
install rich-sig kill -9 $$
install rich-env env
install rich-opts echo "$CMDLINE_OPTS|$CMDLINE_OPTS"
options rich-opts a=1 b="x y"
install rich-softcmd echo softcmd
softdep rich-softcmd pre: crc16
softdep ext4 pre: mbcache nonesuch-dep post: crc16 rich-cmd
softdep jbd2 pre: rich-cmdfail post: dummy
softdep softglob* pre: loop
softdep rich-softloop pre: rich-softloop loop
install rich-softloop echo loop
softdep ifb  pre: loop
softdep veth   pre: loop post:
softdep dummy post: loop pre: llc
softdep bridge loop pre: ifb] llc
weakdep ext4 loop dummy
weakdep loop  fat
remove rich-remove echo remove $MODPROBE_MODULE $CMDLINE_OPTS; exit 2
remove dummy echo remove dummy
remove lo* echo remove by pattern
`,
		"etc/modprobe.d/b.conf": "alias bad\nalias\nblacklist\noptions x\ninstall y\nremove\nsoftdep\nweakdep z\nnonesuch line\n" +
			"include /etc/x\nconfig y\nalias rich[1 loop\nalias rich]1 loop\nalias rich[3] loop\nblacklist a]\n" +
			"options cont a=1 \\\n   b=2 \\\n# no comment\nalias rich-cont \\\nloop\nalias rich-escape lo\\op\n" +
			"install rich-noop echo a\\tb \\\\ c\n\n   \n\t\t\nalias\trich-tab\tloop\talias trailing\n" +
			"alias rich-nul lo\x00op\nalias cr loop\r\noptions crlf a=1\r\n" + strings.Repeat("x", 5000) + "\n" +
			"options long " + strings.Repeat("y=1 ", 3000) + "\nalias rich-noeol dummy",
		"etc/modprobe.d/masked.conf":       "-> /dev/null",
		"usr/lib/modprobe.d/masked.conf":   "alias rich-masked loop\n",
		"run/modprobe.d/masked.conf":       "alias rich-masked ext4\n",
		"run/modprobe.d/run.conf":          "alias rich-run loop\n",
		"usr/lib/modprobe.d/run.conf":      "alias rich-run ext4\n",
		"usr/local/lib/modprobe.d/zz.conf": "alias rich-local loop\noptions loop last=1\n",
		"usr/lib/modprobe.d/a.conf":        "alias rich-only-usr nonesuch\n",
		"usr/lib/modprobe.d/n.conf":        "softdep loop post: fat\nalias rich-only-usr dummy\n",
		"lib/modprobe.d/lib.conf":          "alias rich-lib loop\noptions ext4 fromlib=1\n",
		"etc/modprobe.d/ignored.txt":       "alias rich-ignored loop\n",
		"etc/modprobe.d/.hidden.conf":      "alias rich-ignored loop\n",
		"etc/modprobe.d/.conf":             "alias rich-ignored loop\n",
		"etc/modprobe.d/dangling.conf":     "-> /nonesuch",
		"etc/modprobe.d/dir.conf/x.conf":   "alias rich-ignored loop\n",
		"etc/modprobe.d/link.conf":         "-> ../odd/plain",
		"etc/odd/plain":                    "alias odd ext4\nbad line\n",
		"etc/odd/modules.softdep":          "softdep loop pre: dummy\n",
		"etc/odd/x.conf":                   "alias odd loop\ninstall rich-env env\n",
		"sys/module/ext4/initstate":        "live\n",
		"sys/module/ext4/refcnt":           "1\n",
		"sys/module/jbd2/initstate":        "live\n",
		"sys/module/jbd2/refcnt":           "0\n",
		"sys/module/jbd2/holders/ext4":     "",
		"sys/module/mbcache/initstate":     "live\n",
		"sys/module/mbcache/refcnt":        "0\n",
		"sys/module/crc16/initstate":       "coming\n",
		"sys/module/crc16/refcnt":          "0\n",
		"sys/module/fat/initstate":         "going\n",
		"sys/module/vfat/initstate":        "strange\n",
		"sys/module/stp/x":                 "",
		"sys/module/llc/initstate":         "live\n",
		"sys/module/llc/refcnt":            "0\n",
		"sys/module/llc/holders/x":         "",
		"sys/module/bridge/initstate":      "live\n",
		"sys/module/bridge/refcnt":         "0\n",
		"sys/module/sl_going/initstate":    "going\n",
		"sys/module/sl_going/refcnt":       "-1\n",
	}
	for _, m := range []string{"fat", "vfat", "stp"} {
		files["sys/module/"+m+"/refcnt"] = "0\n"
	}
	files["dev/null"] = ""
	files["proc/modules"] = "ext4 933888 1 - Live 0x0\njbd2 167936 1 ext4, Live 0x0\nmbcache 16384 1 ext4, Live 0x0\n" +
		"a_very_long_module_name_indeed 123456789 3 - Live 0x0\nstp 16384 0 - Live 0x0\nfat 1 2 - Unloading 0x0\n" +
		"llc 16384 -1 - Loading 0x0 (OE+)\nnotinsys 4096 0 - Live 0x0\n"
	files["sys/module/ext4/coresize"] = "933889\n"
	files["sys/module/stp/coresize"] = "junk\n"
	files["sys/module/a_very_long_module_name_indeed/refcnt"] = "17\n"
	files["short"] = "-> damaged"
	files["damaged/empty.ko"] = ""
	files["damaged/short.ko"] = "\x7fELF"
	files["damaged/text.ko"] = strings.Repeat("no module\n", 100)
	files["damaged/elf.ko"] = "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 100)
	for name, text := range damagedModules(trees[0]) {
		files["damaged/"+name] = text
	}
	return files
}
