// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"

	"safeload/internal/treefile"
	"safeload/kmod"
)

// Options of an audit.
type Options struct {
	// Dir is the module tree, such as /lib/modules/6.12.0.
	Dir string
	// Config are the aliases, blacklist, soft dependencies and commands of
	// modprobe.d. May be nil.
	Config *kmod.Config
	// Progress is called now and then with how many of how many modules are
	// done. May be nil. It is not called concurrently.
	Progress func(done, total int)
}

// Result of an audit.
type Result struct {
	Dir     string
	Release string
	Modules int
	// Foreign is how many of the modules were built for another release than
	// Release. Most of them: Dir is not one kernel's tree.
	Foreign int
	// Opaque is the number of request sites reached by some init of whose name
	// nothing is known: they can't be judged.
	Opaque   int
	Findings []Finding
	// Requests are what modules' inits ask of each other, the surest of each
	// pair, by name; most of them are in no finding.
	Requests []Hop
	// Failed are the modules that could not be read or, with [ErrTooLarge],
	// were not analysed; and what else is missing. Each with the reason.
	Failed []error
}

// ModuleError is a module that could not be studied.
type ModuleError struct {
	File string
	Err  error
}

func (e *ModuleError) Error() string { return e.File + ": " + e.Err.Error() }
func (e *ModuleError) Unwrap() error { return e.Err }

// ErrNoModules says that a folder holds no module.
var ErrNoModules = errors.New("no modules in this tree")

// Run audits the tree. It reads every module once, in parallel, and no more at a
// time than its budget of memory has room for. In the place of a file, anything
// may stand: what is no regular file is not opened for long.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Config == nil {
		o.Config = &kmod.Config{}
	}
	files, err := moduleFiles(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	all, err := studyAll(ctx, files, o.Progress)
	if err != nil {
		return nil, err
	}
	if err := studyAsks(ctx, all); err != nil {
		return nil, err
	}
	res := &Result{Dir: o.Dir, Modules: len(files)}
	for _, f := range all {
		if f.err != nil {
		} else if res.Release == "" {
			res.Release = f.release
		} else if f.release != res.Release {
			res.Foreign++
		}
		if rel, err := filepath.Rel(o.Dir, f.file); err == nil {
			f.path, f.file = f.file, rel
		}
	}
	r := newResolver(all, o.Config)
	if err := readBuiltin(o.Dir, r); err != nil && !errors.Is(err, fs.ErrNotExist) {
		res.Failed = append(res.Failed, err)
	}
	var whole bool
	res.Findings, res.Requests, whole = find(all, r, func(f *facts) *moduleRequests {
		mr := requestsOf(f, r)
		res.Opaque += mr.opaque
		return mr
	})
	// To resolve names may have cost too much, too.
	for _, f := range all {
		if f.err != nil {
			res.Failed = append(res.Failed, &ModuleError{cmp.Or(f.path, f.file), f.err})
		}
	}
	if !whole {
		res.Failed = append(res.Failed, fmt.Errorf("%s: not all rings of modules were looked for: too many requests lead to modules", o.Dir))
	}
	return res, nil
}

// moduleFiles are the files of modules in a tree, sorted.
func moduleFiles(ctx context.Context, dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "build" || d.Name() == "source") && filepath.Dir(p) == filepath.Clean(dir) {
			return fs.SkipDir
		}
		if moduleFile(p) && regular(p, d) {
			files = append(files, p)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoModules)
	}
	sort.Strings(files)
	// The same module packed and unpacked side by side is one.
	return slices.CompactFunc(files, func(a, b string) bool {
		a, _, _ = strings.Cut(a, ".ko")
		b, _, _ = strings.Cut(b, ".ko")
		return a == b
	}), nil
}

// regular reports whether p is a regular file, or a link to one.
func regular(p string, d fs.DirEntry) bool {
	if d.Type()&fs.ModeSymlink == 0 {
		return d.Type().IsRegular()
	}
	st, err := os.Stat(p)
	return err == nil && st.Mode().IsRegular()
}

// studyAll reads the files, as many at a time as there are processors.
func studyAll(ctx context.Context, files []string, progress func(done, total int)) ([]*facts, error) {
	all := make([]*facts, len(files))
	var mu sync.Mutex
	done := 0
	err := readAll(ctx, files, func(i int, raw []byte, err error) {
		name := moduleName(files[i])
		if err != nil {
			all[i] = &facts{name: name, file: files[i], err: err}
		} else {
			all[i] = study(name, files[i], raw)
		}
		mu.Lock()
		defer mu.Unlock()
		done++
		if progress != nil {
			progress(done, len(files))
		}
	})
	return all, err
}

// studyAsks looks once more at the modules that hold locks and call what other
// modules export, where that requests: which functions do is known by then.
func studyAsks(ctx context.Context, all []*facts) error {
	asking := askers(all)
	var again []*facts
	var files []string
	for _, f := range all {
		if slices.ContainsFunc(f.calls, func(s string) bool { return asking[s] }) {
			again, files = append(again, f), append(files, f.file)
		}
		f.calls = nil
	}
	return readAll(ctx, files, func(i int, raw []byte, err error) {
		if err == nil { // what was a module is still one
			again[i].askAgain(raw, asking)
		}
	})
}

// readAll calls f with what each file holds, several at a time.
func readAll(ctx context.Context, files []string, f func(i int, raw []byte, err error)) error {
	memory := newMemory(totalMemory)
	var wg sync.WaitGroup
	work := make(chan int)
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		wg.Go(func() {
			r := newReader(memory)
			for i := range work {
				raw, err := r.read(files[i])
				f(i, raw, err)
				r.release()
			}
		})
	}
	for i := range files {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	wg.Wait()
	return ctx.Err()
}

func moduleFile(p string) bool {
	for _, ext := range []string{".ko", ".ko.xz", ".ko.zst", ".ko.gz"} {
		if strings.HasSuffix(p, ext) {
			return true
		}
	}
	return false
}

func moduleName(p string) string { return kmod.NormalizeName(filepath.Base(p)) }

// readBuiltin learns what is in the kernel from modules.builtin.modinfo, strings
// like "aes_generic.alias=crypto-aes", each ended by a NUL.
func readBuiltin(dir string, r *resolver) error {
	b, err := treefile.Read(filepath.Join(dir, "modules.builtin.modinfo"), maxModinfo)
	if err != nil {
		return err
	}
	for line := range bytes.SplitSeq(b, []byte{0}) {
		_, rest, ok := strings.Cut(string(line), ".")
		if !ok {
			continue
		}
		if a, ok := strings.CutPrefix(rest, "alias="); ok {
			if a, err := kmod.NormalizeAlias(a); err == nil {
				r.inside[a] = true
			}
		}
	}
	return nil
}

// maxModinfo is far beyond what a kernel has in it: some 2 MB.
const maxModinfo = 64 << 20
