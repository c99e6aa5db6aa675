// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const (
	depmodVersion = "6.1.0-random"
	depmodTree    = "lib/modules/" + depmodVersion
	depmodAsks    = 4
	// A kmod that is asked for a loop may search for ever.
	depmodLimit = 5 // seconds of a processor
)

// depmodWorld is a module tree and depmod.d made by chance, and how depmod is
// run on it.
type depmodWorld struct {
	number int
	files  map[string]string
	times  map[string]int64 // of files, in seconds
	cases  []*testCase
	gzip   bool // whether this kmod reads .ko.gz
	old    bool // whether it is kmod 30
	// release is the running kernel's.
	release string
	// symbols are all that modules of the world export.
	symbols []elfSymbol
}

// makeDepmodWorld makes the same world of the same seed and number, but for what
// the kmod cannot read.
func makeDepmodWorld(seed uint64, number int, peer string, gzip bool) *depmodWorld {
	c := &chance{Rand: rand.New(rand.NewPCG(seed, uint64(number)<<16|1))}
	w := &depmodWorld{number: number, files: map[string]string{"dev/null": ""}, times: map[string]int64{}, gzip: gzip, old: release(peer) <= 30}
	w.modules(c)
	w.lists(c, peer)
	w.config(c)
	w.asks(c, peer)
	if w.release = runningRelease(); !w.old {
		w.nodes(c)
	}
	return w
}

var depmodDirs = [...]string{"", "kernel/", "kernel/b/c/", "updates/", "extra/", "extra2/", "built-in/", "kernel/build/", "kernel/é-/"}

// modules makes up to a dozen modules, some of one name, some that need each other.
func (w *depmodWorld) modules(c *chance) {
	names := []string{"ma", "m-b", "m_c", "mab", "m-a-b", "x1", "x-1a", "snd-x", "long" + strings.Repeat("_er", 1+c.IntN(40)), "m.dot"}
	if c.one(10) {
		names = append(names, "é")
	}
	c.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:1+c.IntN(len(names))]
	for i := range names {
		s := elfSymbol{name: pick(c, "sym_", "s", ".dot_", "_") + fmt.Sprint(i), crc: uint32(1 + c.IntN(3)), indirect: c.one(2)}
		if c.one(12) {
			s.name = pick(c, "same", "same", "printk", "printk", "é_"+s.name)
		}
		w.symbols = append(w.symbols, s)
	}
	c.words.modules = names
	ring := 0 // the first so many need each other in a circle
	if c.one(8) {
		ring = 1 + c.IntN(min(4, len(names)))
	}
	for i, name := range names {
		m := w.module(c, i)
		if i < ring {
			// Ways through a circle that do not lead back to where kmod began have no end there.
			m.needs = []elfSymbol{{name: w.symbols[(i+1)%ring].name}}
		}
		for n := 1 + c.IntN(6)/5; n > 0; n-- {
			dir := pick(c, depmodDirs[:]...)
			if dir == "kernel/é-/" && !c.one(10) {
				dir = "kernel/e/"
			}
			path := depmodTree + "/" + dir + name
			if c.one(10) {
				path = pick(c, "ext/one/", "ext/two/a/", "ext/") + name
			}
			w.add(c, path, m.bytes())
		}
	}
	if c.one(4) {
		w.files[depmodTree+"/kernel/"+pick(c, "ma.ko", "z.ko", "build", "no.module")] = pick(c, "", "\x7fELF", "-> /nonesuch", "-> ../updates", "-> ma.ko.xz")
	}
}

// module makes the i-th module, which needs only such as come before it.
func (w *depmodWorld) module(c *chance, i int) *elfModule {
	m := &elfModule{is32: c.one(3), big: c.one(6), strings: c.one(5), exports: []elfSymbol{w.symbols[i]}}
	for range c.IntN(5) {
		alias := pick(c, "pci:v*d0000", "usb:v0001p*", "of:N*T*C", "crypto-", "fs-") + c.pattern()
		switch c.IntN(12) {
		case 0:
			alias = pick(c, "devname:a/b", "devname:"+c.word(), "devname:")
		case 1, 2:
			alias = pick(c, "char-major-10-200", "block-major-7-*", "char-major-1-2", "block-major-259-0", "char-major-4", "char-major- 3-+4")
		}
		// An index takes ASCII alone; what else there is ends depmod.
		if !c.one(20) {
			alias = strings.ReplaceAll(alias, "é", "e")
		}
		m.info = append(m.info, "alias="+alias)
	}
	for range c.IntN(5) / 2 {
		m.info = append(m.info, pick(c, "softdep=", "weakdep=", "depends=", "license=")+pick(c, "pre: ", "post: ", "")+pick(c, c.words.modules...))
	}
	if c.one(3) {
		m.exports = append(m.exports, elfSymbol{name: fmt.Sprint("more_", c.IntN(3)), crc: 9})
	}
	for j := range i {
		if c.one(3) {
			m.needs = append(m.needs, elfSymbol{name: w.symbols[j].name, crc: uint32(c.IntN(3)), weak: c.one(5)})
		}
	}
	for range c.IntN(3) {
		m.needs = append(m.needs, elfSymbol{name: pick(c, "printk", "nonesuch", "__this_module", "TOC.", ".kfree", "_kfree", "same"), crc: uint32(c.IntN(3)), weak: c.one(4)})
	}
	return m
}

// add adds a module's file, compressed or damaged or neither.
func (w *depmodWorld) add(c *chance, path string, b []byte) {
	path += ".ko"
	kind := c.IntN(6)
	if kind == 2 && !w.gzip {
		kind = 1
	}
	var packed bytes.Buffer
	switch kind {
	case 0:
		x, err := xz.WriterConfig{CheckSum: pick(c, byte(xz.CRC32), byte(xz.CRC64)), DictCap: 1 << 16}.NewWriter(&packed)
		if err == nil {
			_, _ = x.Write(b)
			_ = x.Close()
		}
		path, b = path+".xz", packed.Bytes()
	case 1:
		z, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		path, b = path+".zst", z.EncodeAll(b, nil)
	case 2:
		g := gzip.NewWriter(&packed)
		_, _ = g.Write(b)
		_ = g.Close()
		path, b = path+".gz", packed.Bytes()
	}
	// kmod 30 does not say what is wrong with a compressed file.
	if n := c.IntN(len(b)); c.one(25) && (kind > 2 || !w.old) {
		b = b[:n]
	}
	w.files[path] = string(b)
	w.times[path] = 1_000_000_000 + int64(c.IntN(3))
}

// lists makes modules.order and the lists of what is built in.
func (w *depmodWorld) lists(c *chance, peer string) {
	var order, builtin, info strings.Builder
	for _, path := range sortedKeys(w.files) {
		rel, ok := strings.CutPrefix(path, depmodTree+"/")
		if !ok || c.one(4) {
			continue
		}
		plain, _, _ := strings.Cut(rel, ".ko")
		order.WriteString(pick(c, plain+".ko", plain+".ko", plain+".ko", rel, "kernel/none.ko", "") + "\n")
	}
	for range c.IntN(4) {
		name := "bi" + strings.NewReplacer("é", "e", ":", "").Replace(c.word())
		builtin.WriteString(pick(c, "kernel/"+name+".ko", name+".ko", "kernel/x/"+name, "/"+name+".ko", "") + "\n")
		info.WriteString(pick(c, name+".license=GPL", name+".alias=platform:"+name+"*", name+".alias=a[-_]b-c", name+".alias=a[b", name+".alias=", name, "="+name, "") + "\x00")
	}
	cut := func(s string) string {
		if c.one(10) {
			return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\x00")
		}
		return s
	}
	for name, text := range map[string]string{"modules.order": order.String(), "modules.builtin": builtin.String(), "modules.builtin.modinfo": info.String()} {
		w.files[depmodTree+"/"+name] = text
	}
	for _, name := range [...]string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		path := depmodTree + "/" + name
		if w.files[path] = cut(w.files[path]); c.one(10) {
			delete(w.files, path)
		}
	}
	if c.one(2) {
		w.files[depmodTree+"/modules.dep"] = "old\n"
		w.times[depmodTree+"/modules.dep"] = 1_000_000_000 + int64(c.IntN(4))
	}
	symvers, system := "", "00000000 A _text\n"
	for _, s := range append(slices.Clone(w.symbols), elfSymbol{name: "printk", crc: 1}, elfSymbol{name: "_kfree", crc: 2}) {
		if c.one(2) {
			symvers += pick(c, fmt.Sprintf("0x%08x", s.crc), fmt.Sprint(s.crc), "0xzz", "99999999999999999999", "-1", "1") + "\t" + s.name + "\t" + pick(c, "vmlinux", "vmlinux", "drivers/a") + "\tEXPORT_SYMBOL\n"
			system += "ffff" + pick(c, " T ", " R ", "\tR ", " ") + pick(c, "__ksymtab_", "___ksymtab_", "") + s.name + "\n"
		}
	}
	if release(peer) <= 34 { // takes it for the largest number
		symvers = strings.ReplaceAll(symvers, "99999999999999999999", "0xzz")
	}
	w.files["etc/Module.symvers"], w.files["etc/System.map"] = symvers, system
}

// config makes depmod.d.
func (w *depmodWorld) config(c *chance) {
	for range c.IntN(4) {
		dir := pick(c, "etc/depmod.d/", "run/depmod.d/", "usr/local/lib/depmod.d/", "usr/lib/depmod.d/", "etc/other.d/")
		w.files[dir+pick(c, "a.conf", "b.conf", "B.conf", "10-a.conf", ".hidden.conf", "none", "x.conf.bak", "sub.conf/a.conf")] = w.configText(c)
	}
	if c.one(5) {
		w.files["run/depmod.d/a.conf"] = pick(c, "-> /dev/null", "")
	}
	w.files["etc/other.d/file"] = w.configText(c)
	// A name cannot be a file here and a directory there.
	for path := range w.files {
		for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
			delete(w.files, dir)
		}
	}
}

func (w *depmodWorld) configText(c *chance) string {
	var b strings.Builder
	module := func() string { return pick(c, c.words.modules...) }
	dir := func() string {
		return pick(c, "updates", "extra", "extra2", "kernel", "kernel/b", "built-in", "external", "ext", "/ext", "updates/", "none")
	}
	version := func() string {
		return pick(c, "*", "*", "^6.1", "6\\.1\\.0-random", "5", ".*", "(", "[0-9]+\\.1", "random$", "6.1.0-random")
	}
	for range c.IntN(8) {
		switch c.IntN(8) {
		case 0, 1, 2:
			b.WriteString("search")
			for range c.IntN(5) {
				b.WriteString(" " + dir())
			}
		case 3:
			b.WriteString("override " + module() + " " + version() + " " + dir())
		case 4:
			b.WriteString("external " + version() + " " + pick(c, "/ext/one", "/ext/two", "/ext", "/nonesuch", "/ext/one/", "/etc/Module.symvers"))
		case 5:
			b.WriteString("exclude " + pick(c, "updates", "ma.ko", "m-b.ko", "kernel", "c", module()+".ko.xz", module()+".ko", ""))
		case 6:
			b.WriteString(pick(c, "#", "# override", " ", "", "include x", "make_map_files no", "override", "external", "search", "Search a", "override a *", "exclude"))
		case 7:
			b.WriteString("search \\\n " + dir() + "\t" + dir())
		}
		b.WriteString(pick(c, "\n", "\n", "\n", "\n\n", " \n", "\r\n"))
	}
	return b.String()
}

// asks says how depmod is run.
func (w *depmodWorld) asks(c *chance, peer string) {
	ask := func(dir string, args ...string) {
		w.cases = append(w.cases, &testCase{root: fmt.Sprint("depmod ", w.number), names: 1, privileged: true, limit: depmodLimit, dir: dir,
			args: append([]string{"depmod"}, args...)})
	}
	ask("", depmodVersion)
	for range depmodAsks {
		var args []string
		for range c.IntN(4) {
			args = append(args, pick(c, "-e", "-eE/etc/Module.symvers", "-E/etc/Module.symvers", "-eF/etc/System.map", "-F/etc/System.map", "-w", "-v", "-n", "-a", "-A",
				"-C/etc/other.d", "-C/etc/other.d/file", "-C/nonesuch", "-b/", "-P_", "--errsyms", "-vv"))
		}
		if c.one(3) {
			args = append(args, pick(c, "-n", "-A", "-e", "-ee", "-nv", "-vvv", "-vvv", "-Av", "-a", "-E/nonesuch", "-F/nonesuch", "-b/etc/Module.symvers", "-Pab", "--sh", "--dry-run", "--quick", "-Z", "--nonesuch", "-C"))
		}
		if release(peer) > 30 && c.one(3) {
			args = append(args, pick(c, "-o/out", "-o/out/a/b/", "-o", "-m/lib/modules", "-mlib/modules", "-m/usr/lib/modules", "-m/foobar", "-mfoobar", "--outdir=/etc/Module.symvers", "-oout"))
		}
		dir := ""
		if c.one(4) {
			dir = "/lib"
			args = append(args, pick(c, "-b..", "-b", "-b../"))
		}
		switch {
		case c.one(10):
			args = append(args, pick(c, "6", "6.", "x.1", "6.1", ".1", "+6.1x", "", "6.1.0-random/", "6.-1"))
		case !c.one(20):
			args = append(args, depmodVersion)
			if c.one(5) {
				for range 1 + c.IntN(3) {
					args = append(args, pick(c, "/"+pick(c, sortedKeys(w.files)...), "kernel/ma.ko", "/nonesuch.ko", "/"+depmodTree+"/kernel/ma.ko", "/"+depmodTree))
				}
			}
		}
		ask(dir, args...)
	}
}

// nodes makes modules.devname of the running kernel, and asks kmod for it.
func (w *depmodWorld) nodes(c *chance) {
	var b strings.Builder
	for range c.IntN(6) {
		kind := pick(c, "c", "c", "b", "x", " c", "")
		b.WriteString(pick(c, "# Device nodes", "fuse fuse c10:229", "loop loop-control c10:237", "a\tb/c/d b"+fmt.Sprint(c.IntN(1<<20))+":"+fmt.Sprint(c.IntN(300)),
			"tun net/tun "+kind+"10:200", "x y "+kind+"1:", "x y", "", " a b c-1:+2", "a b c99999999999999999999:1", strings.Repeat("x", 5000)+" y c1:2", "é /é c1 :2") + "\n")
	}
	if !c.one(6) {
		w.files["lib/modules/"+w.release+"/modules.devname"] = b.String()
	}
	for range 2 {
		args := []string{"kmod"}
		if c.one(6) {
			args = append(args, pick(c, "--", "-h", "-V", "--help", "--vers", "-x", "--nonesuch"))
		}
		args = append(args, pick(c, "static-nodes", "static-nodes", "static-nodes", "static-nodes", "list", "help", "lsmod", "load", ""))
		for range c.IntN(4) {
			args = append(args, pick(c, "-f", "tmpfiles", "-ftmpfiles", "--format=devname", "-fhuman", "-fx", "-o/out/a/b", "-o/etc/Module.symvers/x", "-o/etc/Module.symvers/x", "--output", "/out/c", "-o/etc",
				"-h", "-x", "--", "word", "-v", "-s", "--format", "devname"))
		}
		w.cases = append(w.cases, &testCase{root: fmt.Sprint("depmod ", w.number), names: 1, privileged: true, limit: depmodLimit, args: args})
	}
}

// setTimes gives the files below root their times.
func (w *depmodWorld) setTimes(root string) error {
	for path, t := range w.times {
		if _, ok := w.files[path]; !ok {
			continue
		}
		tv := []syscall.Timeval{syscall.NsecToTimeval(t * 1e9), syscall.NsecToTimeval(t * 1e9)}
		if err := syscall.Utimes(filepath.Join(root, path), tv); err != nil {
			return fmt.Errorf("times of %s: %w", path, err)
		}
	}
	return nil
}

// runningRelease is "uname -r".
func runningRelease() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
