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

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
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
		if err := measure(programs, work, fmt.Sprint(len(files), " modules", ext), files, ext, len(files), runs, nil); err != nil {
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

func makeTree(work string, files map[string][]byte, ext string, n int) error {
	if err := os.RemoveAll(filepath.Join(work, "lib")); err != nil {
		return err
	}
	type job struct {
		path string
		data []byte
	}
	todo := make(chan job)
	var wg sync.WaitGroup
	var failed error
	var mu sync.Mutex
	for range runtime.NumCPU() {
		wg.Go(func() {
			for j := range todo {
				data, err := pack(j.data, ext)
				if err == nil {
					if err = os.MkdirAll(filepath.Dir(j.path), 0o755); err == nil {
						err = os.WriteFile(j.path, data, 0o644)
					}
				}
				if err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			}
		})
	}
	for made, round := 0, 0; made < n; round++ {
		for rel, data := range files {
			if made++; made > n {
				break
			}
			if round > 0 {
				rel = strings.TrimSuffix(rel, ".ko") + fmt.Sprint("_", round, ".ko")
			}
			todo <- job{filepath.Join(work, "lib/modules", version, rel) + ext, data}
		}
	}
	close(todo)
	wg.Wait()
	return failed
}

func pack(data []byte, ext string) ([]byte, error) {
	var b bytes.Buffer
	switch ext {
	case ".xz":
		w, err := xz.WriterConfig{CheckSum: xz.CRC32, DictCap: 1 << 20}.NewWriter(&b)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
		err = w.Close()
		return b.Bytes(), err
	case ".zst":
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return w.EncodeAll(data, nil), nil
	}
	return data, nil
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
	u := cmd.ProcessState
	c.cpu = u.UserTime() + u.SystemTime()
	return c, nil
}
