// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// A world is a configuration made by chance, and what is asked in it. The same
// seed and number make the same world, whatever else is run.
type world struct {
	seed   uint64
	number int
	tree   int
	// files below the root; a value "-> TARGET" is a symbolic link.
	files map[string]string
	cases []*testCase
}

// How many trees the worlds of one seed share, and how often a world asks.
const (
	randomTrees   = 6
	randomAsks    = 12
	randomQuiet   = 4 // as the kernel asks
	randomVersion = "0.0-random"
)

// randomPeer compares with one kmod in count worlds from first on, and prints
// what is left of a world that still differs.
func randomPeer(name, kmod, ours, work string, seed uint64, first, count, show int) (result, error) {
	start := time.Now()
	if err := os.RemoveAll(work); err != nil {
		return result{}, err
	}
	defer os.RemoveAll(work)
	var trees []*tree
	var words []randomWords
	for i := range randomTrees {
		dir := filepath.Join(work, "trees", fmt.Sprint(i))
		w, err := randomTree(rand.New(rand.NewPCG(seed, uint64(1000+i))), dir, i)
		if err != nil {
			return result{}, err
		}
		words = append(words, w)
		trees = append(trees, &tree{dir: filepath.Join(dir, "lib/modules", treeVersion(i)), version: treeVersion(i)})
	}
	todo := make(chan int)
	var wg sync.WaitGroup
	t := tally{result: result{allowed: map[string]int{}}, show: show}
	for j := range runtime.NumCPU() {
		root := filepath.Join(work, fmt.Sprint("root", j))
		if err := makeRoot(root, kmod, ours, trees); err != nil {
			return t.result, err
		}
		wg.Go(func() {
			for n := range todo {
				w := makeWorld(seed, n, words)
				for _, c := range w.cases {
					t.compareIn(w, name, root, seed, n, c)
				}
			}
		})
	}
	for n := first; n < first+count; n++ {
		todo <- n
	}
	close(todo)
	wg.Wait()
	r, failure := t.result, t.failure
	fmt.Printf("kmod %s: %d random configurations from %d on (seed %d), %d runs, %d equal, %d different, %.0f s\n",
		name, count, first, seed, r.passed+r.failed, r.passed, r.failed, time.Since(start).Seconds())
	if err := r.questions.report(); err != nil && failure == nil && count > 1 {
		failure = err
	}
	for _, a := range allowances {
		if n := r.allowed[a.id]; n > 0 {
			fmt.Printf("  allowed %d times: %s\n", n, a.id)
		}
	}
	return r, failure
}

// compareIn runs one case of a random configuration in both programs.
func (t *tally) compareIn(w *world, name, root string, seed uint64, n int, c *testCase) {
	diff, allowed, count, err := w.compare(name, root, c)
	text := ""
	if err == nil && diff != "" {
		text, err = w.least(name, root, c)
	}
	t.Lock()
	defer t.Unlock()
	if err != nil {
		t.failure = err
	}
	t.questions.add(count)
	t.add(c, diff, allowed, func() {
		fmt.Printf("--- scripts/diff-test.sh --seed %d --random 1 -- -first %d: %s\n%s", seed, n, c, text)
	})
}

// compare runs both programs in the world.
func (w *world) compare(peer, root string, c *testCase) (diff string, allowed []string, count questions, err error) {
	for _, d := range randomDirs {
		if err := os.RemoveAll(filepath.Join(root, d)); err != nil {
			return "", nil, count, err
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "sys/module")); err != nil {
		return "", nil, count, err
	}
	if err := writeFiles(root, w.files); err != nil {
		return "", nil, count, err
	}
	p := comparison{peer: peer, root: root, c: c}
	var faults int64
	p.want = execute(root, "/kmod", c)
	p.got, faults = executeCounted(root, "/ours", c)
	count.count(c, p.got, faults)
	if release(peer) <= 30 {
		// It knows that directory by its older name (makeRoot).
		for _, o := range [...]*outcome{&p.want, &p.got} {
			o.stderr = strings.ReplaceAll(o.stderr, "/usr/lib/modprobe.d/", "/lib/modprobe.d/")
		}
	}
	p.rerun = func(more ...string) outcome {
		again := *c
		again.args = append(append(c.args[:1:1], more...), c.args[1:]...)
		return execute(root, "/kmod", &again)
	}
	diff, allowed = p.difference()
	return diff, allowed, count, nil
}

// least takes away files, then lines, then arguments, for as long as there is
// a difference, and tells what is left.
func (w *world) least(peer, root string, c *testCase) (string, error) {
	small := *w
	small.files = map[string]string{}
	for k, v := range w.files {
		small.files[k] = v
	}
	ask := *c
	differs := func() bool {
		diff, _, _, err := small.compare(peer, root, &ask)
		return err == nil && diff != ""
	}
	for _, k := range sortedKeys(small.files) {
		text := small.files[k]
		if k == "proc/cmdline" {
			small.files[k] = ""
		} else {
			delete(small.files, k)
		}
		if differs() {
			continue
		}
		small.files[k] = text
		lines := strings.SplitAfter(text, "\n")
		for i := 0; i < len(lines) && len(lines) > 1; {
			less := slices.Delete(slices.Clone(lines), i, i+1)
			small.files[k] = strings.Join(less, "")
			if differs() {
				lines = less
			} else {
				i++
			}
		}
		small.files[k] = strings.Join(lines, "")
	}
	ask.shorten(3, 4, differs)
	diff, _, _, err := small.compare(peer, root, &ask)
	var b strings.Builder
	fmt.Fprintf(&b, "    least: %s\n", &ask)
	for _, k := range sortedKeys(small.files) {
		fmt.Fprintf(&b, "    %s: %q\n", k, small.files[k])
	}
	b.WriteString(diff)
	return b.String(), err
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// randomDirs are where a world has its configuration; /lib is a link to
// /usr/lib. The last is for -C.
var randomDirs = [...]string{"etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "etc/other.d"}

// chance makes the parts of a world.
type chance struct {
	*rand.Rand
	words randomWords
}

// randomWords are names that mean something in a tree.
type randomWords struct {
	modules, aliases, symbols, builtins []string
}

func pick[T any](c *chance, list ...T) T { return list[c.IntN(len(list))] }

// one says yes once in n times.
func (c *chance) one(n int) bool { return c.IntN(n) == 0 }

func makeWorld(seed uint64, number int, words []randomWords) *world {
	c := &chance{Rand: rand.New(rand.NewPCG(seed, uint64(number)<<16))}
	w := &world{seed: seed, number: number, tree: c.IntN(len(words)), files: map[string]string{}}
	c.words = words[w.tree]
	// A few names more than the tree has, so that lines meet.
	for range 4 {
		c.words.aliases = append(c.words.aliases, c.word())
	}
	for range c.IntN(6) {
		name := pick(c, "a.conf", "b.conf", "B.conf", "10-a.conf", "9.conf", "é.conf", ".hidden.conf", "none", "x.conf.bak", ".conf", "a.conf.conf")
		w.files[filepath.Join(pick(c, randomDirs[:]...), name)] = c.file()
	}
	if c.one(3) {
		w.files["run/modprobe.d/"+pick(c, "a.conf", "b.conf")] = pick(c, "-> /dev/null", "")
	}
	if c.one(3) {
		// With kmod 30 a link that leads nowhere masks others; no other has this name.
		w.files["run/modprobe.d/link.conf"] = pick(c, "-> /nonesuch", "-> link.conf", "-> ../../etc/other.d/a.conf", "-> ../../etc/modprobe.d")
	}
	w.files["dev/null"] = ""
	w.files["proc/cmdline"] = c.cmdline()
	for range c.IntN(3) {
		dir := "sys/module/" + strings.ReplaceAll(pick(c, c.words.modules...), "-", "_")
		w.files[dir+"/initstate"] = pick(c, "live\n", "live\n", "coming\n", "going\n", "what", "")
		w.files[dir+"/refcnt"] = pick(c, "0\n", "0\n", "1\n", "-1\n")
		if c.one(2) {
			w.files[dir+"/holders/"+strings.ReplaceAll(pick(c, c.words.modules...), "-", "_")] = ""
		}
	}
	version := treeVersion(w.tree)
	ask := func(args ...string) {
		w.cases = append(w.cases, &testCase{root: fmt.Sprint("world ", number), names: 1, args: append([]string{"modprobe", "-S", version}, args...)})
	}
	ask("-c")
	for range randomAsks {
		options := []string{pick(c, "-D", "-R", "-Db", "-Di", "-nv", "-niv", "-rn", "-rnv", "-rni", "-v", "-v", "-b", "-bv", "-iv", "-q", "-a", "-aR", "-aD",
			"-rv", "-rav", "-riv", "--first-time", "-rw1", "-f", "-vv")}
		if c.one(10) {
			options = append(options, "--config=/"+pick(c, randomDirs[:]...))
		}
		if c.one(4) {
			options = append(options, "--")
		}
		options = append(options, c.name())
		for range c.IntN(3) {
			options = append(options, pick(c, "x=1", "y=\"a b\"", "z", "$CMDLINE", c.name()))
		}
		ask(options...)
	}
	for range randomQuiet {
		ask("-q", "--", pick(c, c.name(), c.word(), "nonesuch-"+c.word()))
	}
	return w
}

// name is one to ask for.
func (c *chance) name() string {
	switch c.IntN(10) {
	case 0:
		return c.word()
	case 1:
		return pick(c, c.words.builtins...)
	case 2:
		return "symbol:" + pick(c, c.words.symbols...)
	case 3, 4, 5:
		return concrete(closed(pick(c, c.words.aliases...)), c.IntN(4))
	case 6:
		return strings.NewReplacer("-", "_", "_", "-").Replace(pick(c, c.words.modules...))
	}
	return pick(c, c.words.modules...)
}

// closed leaves out what concrete cannot read: a bracket without its other.
func closed(pattern string) string {
	if i := strings.LastIndexByte(pattern, '['); i >= 0 && !strings.Contains(pattern[i+1:], "]") {
		return pattern[:i]
	}
	return pattern
}

// word is a short word of few letters, so that two are often alike.
func (c *chance) word() string {
	var b strings.Builder
	for range 1 + c.IntN(4) {
		b.WriteString(pick(c, "a", "b", "ab", "-", "_", "1", ":", ".", "x", "é"))
	}
	return b.String()
}

// pattern is a name, or something that matches some.
func (c *chance) pattern() string {
	name := pick(c, append(append(slices.Clone(c.words.modules), c.words.aliases...), c.words.builtins...)...)
	if c.one(2) {
		return name
	}
	b := []byte(name)
	for range 1 + c.IntN(2) {
		at := c.IntN(len(b) + 1)
		what := pick(c, "*", "?", "[a-z]", "[!a]", "[^b]", "[-_]", "[]a]", "[", "]", "[a", "\\", "\\*", "\\[", "-", "_", "[[:alpha:]]", "[a-]", "[z-a]", "[!]]", "**")
		end := min(len(b), at+c.IntN(3))
		b = slices.Concat(b[:at], []byte(what), b[end:])
	}
	return string(b)
}

// blank separates words.
func (c *chance) blank() string {
	return pick(c, " ", " ", " ", "\t", "  ", " \t ", "\\\n", " \\\n ", "\\\n\\\n", "\v", "\r")
}

// line is a line of modprobe.d, most of them good ones.
func (c *chance) line() string {
	s := ""
	word := func(w string) { s += c.blank() + w }
	module := func() string { return pick(c, c.words.modules...) }
	switch c.IntN(14) {
	case 0, 1, 2:
		s = "alias"
		word(c.pattern())
		word(pick(c, module(), module(), c.word()))
	case 3, 4:
		s = "options"
		word(c.pattern())
		for range c.IntN(4) {
			word(pick(c, "a=1", "b=\"x y\"", "c", "d='e", "=", "f=\\", "#g=h"))
		}
	case 5, 6:
		s = pick(c, "install", "install", "remove")
		word(c.pattern())
		word(pick(c, "echo ran $CMDLINE_OPTS", "echo $MODPROBE_MODULE x$CMDLINE_OPTS$CMDLINE_OPTS", "exit 3", ":", "echo \"$MODPROBE_OPTIONS\" # no",
			"echo a;\\\n exit 1", "false", "/nonesuch", "env | while read l; do case $l in MODPROBE*) echo $l;; esac; done", "kill -9 $$"))
	case 7, 8:
		s = pick(c, "softdep", "softdep", "weakdep")
		word(c.pattern())
		for range c.IntN(6) {
			word(pick(c, "pre:", "post:", "pre", "post:x", module(), module(), module(), c.name(), c.word()))
		}
	case 9:
		s = "blacklist"
		word(pick(c, module(), c.pattern()))
	case 10:
		s = pick(c, "#", " #", "# \\\nalias", "#alias") + c.blank() + c.word() + " " + module()
	case 11:
		s = pick(c, "", " ", "\t", "\\", "\\\n", "include", "config", "alias", "options", "install", "remove", "blacklist", "softdep", "weakdep", "ALIAS a b", "\x00", "aliasx a b")
	case 12:
		s = pick(c, "alias", "options", "install", "remove", "softdep", "include", "config binary_indexes")
		word(c.pattern())
	default:
		s = pick(c, "options", "alias") + " " + strings.Repeat(c.word(), 1+c.IntN(3)*c.IntN(400)) + " " + module()
	}
	if c.one(8) {
		s = c.blank() + s
	}
	if c.one(4) {
		s += c.blank()
	}
	return s
}

func (c *chance) file() string {
	var b strings.Builder
	for range c.IntN(12) {
		b.WriteString(c.line())
		b.WriteString(pick(c, "\n", "\n", "\n", "\n\n", "\r\n", " \n"))
	}
	s := b.String()
	if c.one(5) {
		s = strings.TrimSuffix(s, "\n")
	}
	return s
}

func (c *chance) cmdline() string {
	var words []string
	for range c.IntN(7) {
		m := pick(c, c.words.modules...)
		words = append(words, pick(c, "quiet", m+".p=1", m+".q=\"a b\"", "\""+m+".r=c d\"", "modprobe.blacklist="+m+","+pick(c, c.words.modules...), m+".", m+".s",
			"root=/dev/sda1", m+".t.u=1", m+"=v.w", ".x=1", m+".y=\"z", "modprobe.blacklist=", "modprobe."+m, "--", "\"", m+"[.a=1", c.word()+".b=c"))
	}
	return strings.Join(words, pick(c, " ", "  ", "\t")) + pick(c, "\n", "\n", "", " \n", "\x00")
}

func treeVersion(i int) string { return fmt.Sprint(randomVersion, i) }

// randomTree makes a tree of empty modules with aliases, symbols that they take
// from each other and soft dependencies, and lets depmod index it.
func randomTree(r *rand.Rand, dir string, number int) (w randomWords, err error) {
	c := &chance{Rand: r}
	version := treeVersion(number)
	top := filepath.Join(dir, "lib/modules", version)
	w.modules = []string{"ma", "m-b", "m_c", "mab", "m-a-b", "x1", "x-1a", "snd-x", "long" + strings.Repeat("_er", 1+c.IntN(40))}
	c.words = w
	files := map[string]string{}
	var order, builtin, builtinInfo strings.Builder
	for i, n := range w.modules {
		info := []string{"license=GPL", "name=" + strings.ReplaceAll(n, "-", "_"), "vermagic=" + version}
		for range c.IntN(4) {
			alias := pick(c, "pci:v*d0000", "usb:v0001p*", "of:N*T*C", "crypto-", "fs-") + c.pattern()
			if strings.ContainsAny(alias, " \t\n") {
				continue
			}
			info = append(info, "alias="+alias)
			w.aliases = append(w.aliases, alias)
		}
		if c.one(3) {
			info = append(info, pick(c, "softdep=", "softdep=", "weakdep=")+pick(c, "pre: ", "post: ", "")+pick(c, w.modules...)+" "+pick(c, w.modules...))
		}
		var needs []elfSymbol
		for j := range i {
			if c.one(3) {
				needs = append(needs, elfSymbol{name: fmt.Sprint("sym_", j)})
			}
		}
		symbol := fmt.Sprint("sym_", i)
		w.symbols = append(w.symbols, symbol)
		path := "kernel/" + pick(c, "a/", "b/c/", "") + n + ".ko"
		files[path] = string((&elfModule{info: info, exports: []elfSymbol{{name: symbol, crc: 1}}, needs: needs}).bytes())
		fmt.Fprintln(&order, path)
	}
	for range 3 {
		n := "bi" + c.word() + "n"
		n = strings.NewReplacer(".", "", ":", "", "é", "").Replace(n) // depmod dies of letters beyond ASCII
		w.builtins = append(w.builtins, n, "platform:"+n)
		fmt.Fprintf(&builtin, "kernel/%s.ko\n", n)
		fmt.Fprintf(&builtinInfo, "%s.license=GPL\x00%s.alias=platform:%s*\x00", strings.ReplaceAll(n, "-", "_"), strings.ReplaceAll(n, "-", "_"), n)
	}
	files["modules.order"], files["modules.builtin"], files["modules.builtin.modinfo"] = order.String(), builtin.String(), builtinInfo.String()
	if err := writeFiles(top, files); err != nil {
		return w, err
	}
	if out, err := exec.Command("depmod", "-b", dir, version).CombinedOutput(); err != nil {
		return w, fmt.Errorf("depmod: %w: %s", err, out)
	}
	w.aliases = append(w.aliases, "fs-none")
	return w, nil
}

// shorten takes away arguments, from one on and while there are more than least,
// for as long as there is a difference.
func (c *testCase) shorten(from, least int, differs func() bool) {
	for i := from; i < len(c.args) && len(c.args) > least; {
		before := c.args
		c.args = slices.Delete(slices.Clone(before), i, i+1)
		if !differs() {
			c.args = before
			i++
		}
	}
}
