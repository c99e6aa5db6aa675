// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/dirents"
)

// outcome is an index that has been made.
type outcome struct {
	name     string
	data     []byte
	err      error // none was made
	tmp      string
	openErr  error
	writeErr error
}

// output makes the indexes and replaces the old ones. All are on the disk before the
// first is renamed, so that after a crash each is either the old one or the new one.
func (p *program) output() error {
	if err := os.MkdirAll(p.outDir, 0o755); err != nil {
		p.log.crit("could not create directory ", p.outDir, ": ", text(err), "\n")
	}
	d, err := dirents.Open(p.outDir)
	if err != nil {
		p.log.crit("could not open directory ", p.outDir, ": ", text(err), "\n")
	}
	defer d.Close()
	list, fatal := p.makeIndexes()
	var wg sync.WaitGroup
	for i := range list {
		if list[i].err == nil {
			wg.Go(func() { list[i].write(d) })
		}
	}
	wg.Wait()
	err = p.publish(d, list)
	if fatal != nil {
		panic(fatal)
	}
	return err
}

// makeIndexes makes all indexes, or those before one whose making ends the program.
// Those are still published, as by kmod.
func (p *program) makeIndexes() (list []outcome, fatal any) {
	defer func() {
		if r := recover(); r != nil {
			if _, exit := r.(exitStatus); !exit {
				panic(r)
			}
			fatal = r
		}
	}()
	// Both are kept for the texts, which are made beside the others.
	p.depLines()
	p.ownSymbols()
	texts := make([][]byte, len(indexes))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i, x := range indexes {
			if x.quiet {
				texts[i], _ = x.make(p)
			}
		}
	})
	defer func() {
		wg.Wait()
		for i := range list {
			if indexes[i].quiet {
				list[i].data = texts[i]
			}
		}
	}()
	for _, x := range indexes {
		o := outcome{name: x.name}
		if !x.quiet {
			o.data, o.err = x.make(p)
		}
		list = append(list, o)
		if o.err != nil {
			break
		}
	}
	return list, nil
}

// write writes the index to a file of its own, down to the disk.
func (o *outcome) write(d dirents.Dir) {
	for n := 0; ; n++ {
		o.tmp = "." + o.name + "." + strconv.Itoa(os.Getpid()) + "." + strconv.Itoa(n)
		fd, err := unix.Openat(int(d), o.tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err == unix.EEXIST && n < 1000 {
			continue
		}
		if err != nil {
			o.openErr = err
			return
		}
		f := os.NewFile(uintptr(fd), o.tmp)
		if o.openErr = f.Chmod(0o644); o.openErr == nil {
			if _, o.writeErr = f.Write(o.data); o.writeErr == nil {
				o.writeErr = f.Sync()
			}
		}
		if err := f.Close(); o.writeErr == nil {
			o.writeErr = err
		}
		if o.openErr != nil || o.writeErr != nil {
			_ = unix.Unlinkat(int(d), o.tmp, 0)
		}
		return
	}
}

// publish renames what was written, in order, up to the first that failed.
func (p *program) publish(d dirents.Dir, list []outcome) (err error) {
	done := 0
	defer func() {
		for _, o := range list[done:] {
			if o.err == nil && o.openErr == nil && o.writeErr == nil {
				_ = unix.Unlinkat(int(d), o.tmp, 0)
			}
		}
		// Some file systems cannot do it for a directory: no reason to fail.
		_ = unix.Fsync(int(d))
	}()
	for ; done < len(list); done++ {
		o := &list[done]
		switch {
		case o.err != nil:
			p.log.err("Could not write index '", o.name, "': ", text(o.err), "\n")
			return o.err
		case o.openErr != nil:
			p.log.err("Could not create temporary file at '", p.outDir, "'\n")
			continue
		case o.writeErr != nil:
			p.log.err("Could not create index '", o.name, "'. Output is truncated: ", text(syscall.ENOSPC), "\n")
			return syscall.ENOSPC
		}
		if err := unix.Renameat(int(d), o.tmp, int(d), o.name); err != nil {
			p.log.crit("publish temporary from ", o.tmp, " to ", o.name, "\n")
		}
	}
	return nil
}
