// SPDX-License-Identifier: Apache-2.0

// Command benchdepmod measures depmod beside kmod's, in turns, over one module
// tree in each compression, with -A where nothing is new, and over trees of
// more and more modules. Run by scripts/bench.sh --depmod.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const version = "6.1.0-bench"

// program is a depmod; with a root it runs in that chroot.
type program struct{ name, path, root string }

// cost is the least of all runs.
type cost struct{ wall, cpu time.Duration }

func main() {
	ours := flag.String("ours", "", "safeload")
	tree := flag.String("tree", "", "module tree, not compressed")
	work := flag.String("work", "", "directory for the trees, on a tmpfs")
	runs := flag.Int("runs", 5, "runs of each")
	most := flag.Int("most", 8000, "modules of the largest tree")
	flag.Parse()
	if *ours == "" || *tree == "" || *work == "" {
		flag.Usage()
		os.Exit(2)
	}
	programs := []program{{"safeload", *ours, ""}}
	for _, p := range flag.Args() {
		name, path, _ := strings.Cut(p, "=")
		q := program{name, path, ""}
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			q = program{name, "/usr/bin/kmod", path}
		}
		programs = append(programs, q)
	}
	if err := run(programs, *tree, *work, *runs, *most); err != nil {
		fmt.Fprintln(os.Stderr, "benchdepmod:", err)
		os.Exit(1)
	}
}

func run(programs []program, tree, work string, runs, most int) error {
	files, err := modules(tree)
	if err != nil {
		return err
	}
	fmt.Printf("%d CPUs; wall and CPU in ms, the least of %d runs; ratios are safeload's to that program's\n", runtime.NumCPU(), runs)
	for _, ext := range [...]string{"", ".zst", ".xz"} {
		packed, err := pack(files, ext)
		if err != nil {
			return err
		}
		if err := measure(programs, work, fmt.Sprint(len(files), " modules", ext), packed, ext, len(files), runs, nil); err != nil {
			return err
		}
	}
	if err := measure(programs, work, "-A, nothing new", files, "", len(files), runs, []string{"-A"}); err != nil {
		return err
	}
	for n := 1000; n <= most; n *= 2 {
		if err := measure(programs, work, fmt.Sprint(n, " modules"), files, "", n, runs, nil); err != nil {
			return err
		}
	}
	return nil
}

// modules reads a tree that is not compressed.
func modules(tree string) (files map[string][]byte, err error) {
	files = map[string][]byte{}
	err = filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".ko") || !d.Type().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(tree, path)
		files[rel], err = os.ReadFile(path)
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no .ko", tree)
	}
	return files, err
}

// measure makes a tree of n modules, some of them more than once, and runs each
// program on it.
func measure(programs []program, work, what string, files map[string][]byte, ext string, n, runs int, args []string) error {
	made := map[string]bool{}
	for _, p := range programs {
		if made[p.root] {
			continue
		}
		made[p.root] = true
		if err := makeTree(filepath.Join(p.root, work), files, ext, n); err != nil {
			return err
		}
	}
	least := make([]cost, len(programs))
	for i := range runs + 1 {
		for j, p := range programs {
			c, err := p.run(work, args)
			if err != nil {
				return err
			}
			if i == 0 {
				continue // the first finds nothing in the caches
			}
			if i == 1 || c.wall < least[j].wall {
				least[j].wall = c.wall
			}
			if i == 1 || c.cpu < least[j].cpu {
				least[j].cpu = c.cpu
			}
		}
	}
	fmt.Printf("%-22s", what)
	for j, p := range programs {
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		fmt.Printf("  %s %.1f wall %.1f CPU", p.name, ms(least[j].wall), ms(least[j].cpu))
		if j > 0 {
			fmt.Printf(" (%.2f, %.2f)", float64(least[0].wall)/float64(least[j].wall), float64(least[0].cpu)/float64(least[j].cpu))
		}
	}
	fmt.Println()
	return nil
}

// makeTree makes a tree of n modules, some of them more than once.
func makeTree(work string, files map[string][]byte, ext string, n int) error {
	if err := os.RemoveAll(filepath.Join(work, "lib")); err != nil {
		return err
	}
	for made, round := 0, 0; made < n; round++ {
		for rel, data := range files {
			if made++; made > n {
				break
			}
			if round > 0 {
				rel = strings.TrimSuffix(rel, ".ko") + fmt.Sprint("_", round, ".ko")
			}
			path := filepath.Join(work, "lib/modules", version, rel) + ext
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// packers are the programs that compress modules, with the options that the kernel's
// scripts/Makefile.modinst gives them: what another encoder makes is decoded in another time.
var packers = map[string][]string{
	".xz":  {"xz", "--check=crc32", "--lzma2=dict=1MiB"},
	".zst": {"zstd", "-q", "-T1"},
}

// pack compresses all files.
func pack(files map[string][]byte, ext string) (map[string][]byte, error) {
	packer := packers[ext]
	if packer == nil {
		return files, nil
	}
	packed := make(map[string][]byte, len(files))
	todo := make(chan string)
	var wg sync.WaitGroup
	var failed error
	var mu sync.Mutex
	for range runtime.NumCPU() {
		wg.Go(func() {
			for rel := range todo {
				args := append(packer[1:len(packer):len(packer)], "-c")
				if ext == ".zst" { // as of a file: kmod 34 wants to be told the size of what is in it
					args = append(args, fmt.Sprint("--stream-size=", len(files[rel])))
				}
				cmd := exec.Command(packer[0], args...)
				cmd.Stdin = bytes.NewReader(files[rel])
				b, err := cmd.Output()
				mu.Lock()
				packed[rel] = b
				if err != nil {
					failed = fmt.Errorf("%s: %w", packer[0], err)
				}
				mu.Unlock()
			}
		})
	}
	for rel := range files {
		todo <- rel
	}
	close(todo)
	wg.Wait()
	return packed, failed
}

// run runs depmod once.
func (p *program) run(work string, args []string) (cost, error) {
	cmd := exec.Cmd{Path: p.path, Args: append([]string{"depmod", "-b", work, "-C", "/dev/null"}, append(args, version)...)}
	if p.root != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root}
		cmd.Dir = "/"
	}
	start := time.Now()
	out, err := cmd.CombinedOutput()
	c := cost{wall: time.Since(start)}
	if err != nil {
		return c, fmt.Errorf("%s: %w: %s", p.name, err, out)
	}
	if args == nil && bytes.Contains(out, []byte("ERROR")) { // it goes on, and has less to do; -A misses what is not made yet
		return c, fmt.Errorf("%s: %s", p.name, out[:min(len(out), 1000)])
	}
	u := cmd.ProcessState
	c.cpu = u.UserTime() + u.SystemTime()
	return c, nil
}
