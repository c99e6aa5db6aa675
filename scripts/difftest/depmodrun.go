// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// depmodPlaces are where a world's files are and depmod's go, below the root.
var depmodPlaces = [...]string{"lib/modules", "ext", "out", "lib/out", "foobar", "etc", "run", "usr/local", "usr/lib/depmod.d"}

// depmodPeer compares depmod with one kmod in count worlds from first on, and
// prints what is left of a world that still differs.
func depmodPeer(name, kmod, modprobe, ours, work string, seed uint64, first, count, show int) (result, error) {
	start := time.Now()
	r := result{allowed: map[string]int{}}
	if err := os.RemoveAll(work); err != nil {
		return r, err
	}
	var mounts []string
	defer func() { removeWork(work, mounts) }()
	todo := make(chan int)
	var wg sync.WaitGroup
	y := depmodTally{tally: tally{result: r, show: show}}
	for j := range runtime.NumCPU() {
		root := filepath.Join(work, fmt.Sprint("root", j))
		if err := depmodRoot(root, kmod, modprobe, ours); err != nil {
			return r, err
		}
		mounts = append(mounts, filepath.Join(root, "proc"))
		features := execute(root, "/kmod", &testCase{args: []string{"kmod", "--version"}}).stdout
		wg.Go(func() {
			for n := range todo {
				w := makeDepmodWorld(seed, n, name, strings.Contains(features, "+ZLIB"))
				for _, c := range w.cases {
					y.compare(w, name, root, seed, n, c)
				}
			}
		})
	}
	for n := first; n < first+count; n++ {
		todo <- n
	}
	close(todo)
	wg.Wait()
	r, files, failure := y.result, y.files, y.failure
	fmt.Printf("kmod %s: depmod in %d random trees from %d on (seed %d), %d runs with %d files, %d equal, %d different, %d without an end in kmod, %.0f s\n",
		name, count, first, seed, r.passed+r.failed+r.skipped, files, r.passed, r.failed, r.skipped, time.Since(start).Seconds())
	if files == 0 && failure == nil {
		failure = fmt.Errorf("kmod %s: depmod made no files", name)
	}
	r.failed += staleDepmod(name, r.allowed, count)
	return r, failure
}

// depmodTally is a tally that counts the files that depmod has written, too.
type depmodTally struct {
	tally
	files int
}

// compare runs one case of a world in both programs.
func (y *depmodTally) compare(w *depmodWorld, name, root string, seed uint64, n int, c *testCase) {
	p, diff, allowed, err := w.compare(name, root, c)
	text := ""
	y.Lock()
	look := y.shown < y.show && err == nil && diff != "" && !depmodHangs(p)
	if look {
		y.shown++
	}
	y.Unlock()
	if look {
		text, err = w.least(name, root, c)
	}
	y.Lock()
	defer y.Unlock()
	if err != nil {
		y.failure = err
	}
	y.files += strings.Count(p.want.files, "\n=== ")
	y.allow(allowed)
	switch {
	case diff == "":
		y.passed++
	case depmodHangs(p):
		y.skipped++
	default:
		y.failed++
		if look {
			fmt.Printf("--- scripts/diff-test.sh --seed %d --depmod 1 -- -first %d: %s\n%s", seed, n, c, text)
		}
	}
}

// staleDepmod prints which differences there were, and counts those that there
// should have been in so many worlds.
func staleDepmod(peer string, allowed map[string]int, count int) (stale int) {
	for _, a := range depmodAllowances {
		if n := allowed[a.id]; n > 0 {
			fmt.Printf("  allowed %d times: %s (%s)\n", n, a.id, a.what)
		} else if a.of(peer) && count >= 30 {
			fmt.Printf("  STALE: %s (%s): no run has this difference any more\n", a.id, a.what)
			stale++
		}
	}
	return stale
}

// depmodHangs says that kmod came to no end, or to one by an assertion.
func depmodHangs(p *comparison) bool {
	return (p.want.signal == syscall.SIGKILL || p.want.signal == syscall.SIGABRT) && p.got.signal == 0
}

// depmodRoot is a chroot with both depmods.
func depmodRoot(root, kmod, modprobe, ours string) error {
	if err := makeRoot(root, kmod, modprobe, nil); err != nil {
		return err
	}
	if err := copyFile(ours, filepath.Join(root, "ours/kmod"), 0o755); err != nil {
		return err
	}
	for link, target := range map[string]string{"kmod/kmod": "modprobe", "kmod/depmod": "modprobe", "ours/depmod": "kmod"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			return err
		}
	}
	// kmod's master gives its files their names by /proc/self/fd.
	return syscall.Mount("proc", filepath.Join(root, "proc"), "proc", syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
}

// removeWork removes what has been mounted, or else nothing.
func removeWork(work string, mounts []string) {
	for _, m := range mounts {
		if err := syscall.Unmount(m, syscall.MNT_DETACH); err != nil {
			fmt.Fprintln(os.Stderr, "difftest: unmount", m+":", err)
			return
		}
	}
	os.RemoveAll(work)
}

// compare runs both programs in the world, on the same files.
func (w *depmodWorld) compare(peer, root string, c *testCase) (p *comparison, diff string, allowed []string, err error) {
	p = &comparison{peer: peer, root: root, c: c, allowances: depmodAllowances}
	for _, d := range depmodPlaces {
		if err := os.RemoveAll(filepath.Join(root, d)); err != nil {
			return p, "", nil, err
		}
	}
	if err := writeFiles(root, w.files); err != nil {
		return p, "", nil, err
	}
	for _, run := range []struct {
		dir string
		out *outcome
	}{{"/kmod", &p.want}, {"/ours", &p.got}} {
		if err := w.setTimes(root); err != nil {
			return p, "", nil, err
		}
		*run.out = execute(root, run.dir, c)
		if run.out.files, err = w.takeNew(root, depmodByContents(peer)); err != nil {
			return p, "", nil, err
		}
	}
	if release(peer) <= 30 {
		p.got.stderr = olderName(p.got.stderr)
	}
	diff, allowed = p.difference()
	return p, diff, allowed, nil
}

// olderName says what kmod 30 says of a directory that it knows by one name,
// where later ones know it by two.
func olderName(messages string) string {
	var b strings.Builder
	for line := range strings.Lines(messages) {
		older := strings.ReplaceAll(line, "/usr/lib/depmod.d", "/lib/depmod.d")
		if older == line || !strings.Contains(messages, older) {
			b.WriteString(older)
		}
	}
	return b.String()
}

// depmodByContents says that the binary indexes of this kmod are compared by what
// they hold.
func depmodByContents(peer string) (content bool) { return release(peer) <= 30 }

// takeNew describes what a run has made or changed, and takes it away.
func (w *depmodWorld) takeNew(root string, content bool) (string, error) {
	var b strings.Builder
	var again []string
	for _, place := range depmodPlaces {
		err := filepath.WalkDir(filepath.Join(root, place), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !d.Type().IsRegular() {
				if os.IsNotExist(err) {
					return nil
				}
				return err
			}
			rel, _ := filepath.Rel(root, path)
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if old, ok := w.files[rel]; ok && old == string(data) {
				return nil
			} else if ok {
				again = append(again, rel)
			}
			st, err := d.Info()
			if err != nil {
				return err
			}
			text := string(data)
			if content && strings.HasSuffix(rel, ".bin") && len(data) > 0 {
				text = indexContents(data)
			}
			fmt.Fprintf(&b, "\n=== %s %v\n%s", rel, st.Mode(), text)
			return os.Remove(path)
		})
		if err != nil {
			return "", err
		}
	}
	for _, rel := range again {
		if err := writeFiles(root, map[string]string{rel: w.files[rel]}); err != nil {
			return "", err
		}
	}
	for _, d := range [...]string{"out", "lib/out", "foobar"} {
		if err := os.RemoveAll(filepath.Join(root, d)); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// indexContents lists the keys of a binary index (libkmod-index.c) with their
// values and priorities.
func indexContents(data []byte) string {
	var lines []string
	be := binary.BigEndian
	var walk func(at uint32, key string)
	walk = func(at uint32, key string) {
		b := data[at&0x0fffffff:]
		if at&0x80000000 != 0 {
			prefix, _, _ := strings.Cut(string(b), "\x00")
			key, b = key+prefix, b[len(prefix)+1:]
		}
		if at&0x20000000 != 0 {
			first, last := b[0], b[1]
			b = b[2:]
			for c := int(first); c <= int(last); c++ {
				if child := be.Uint32(b); child != 0 {
					walk(child, key+string(rune(c)))
				}
				b = b[4:]
			}
		}
		if at&0x40000000 != 0 {
			n := be.Uint32(b)
			b = b[4:]
			for range n {
				value, _, _ := strings.Cut(string(b[4:]), "\x00")
				lines = append(lines, fmt.Sprintf("%q %d %q\n", key, be.Uint32(b), value))
				b = b[4+len(value)+1:]
			}
		}
	}
	walk(be.Uint32(data[8:]), "")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// least takes away files, then arguments, for as long as there is a difference,
// and tells what is left.
func (w *depmodWorld) least(peer, root string, c *testCase) (string, error) {
	small := *w
	small.files = map[string]string{}
	for k, v := range w.files {
		small.files[k] = v
	}
	ask := *c
	differs := func() bool {
		p, diff, _, err := small.compare(peer, root, &ask)
		return err == nil && diff != "" && !depmodHangs(p)
	}
	for _, k := range sortedKeys(small.files) {
		text := small.files[k]
		if delete(small.files, k); !differs() {
			small.files[k] = text
		}
	}
	ask.shorten(1, 1, differs)
	_, diff, _, err := small.compare(peer, root, &ask)
	var b strings.Builder
	fmt.Fprintf(&b, "    least: %s\n", &ask)
	for _, k := range sortedKeys(small.files) {
		fmt.Fprintf(&b, "    %s: %.300q\n", k, small.files[k])
	}
	b.WriteString(diff)
	return b.String(), err
}
