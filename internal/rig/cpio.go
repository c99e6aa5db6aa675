// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Packed is what an archive has: for each path a sum of its kind, mode and content.
type Packed map[string]string

// Pack writes the tree below root as a cpio archive of the kernel's kind (newc), owned by root, without what is the
// same in base. It returns what the tree has.
func Pack(w io.Writer, root string, base Packed) (Packed, error) {
	out := &cpio{w: bufio.NewWriterSize(w, 1<<20)}
	has := Packed{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == root {
			return err
		}
		name := strings.TrimPrefix(file, root+"/")
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode, content, err := entry(file, info)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		has[name] = fmt.Sprintf("%o %s", mode, hex.EncodeToString(sum[:]))
		if base[name] == has[name] {
			return nil
		}
		return out.add(name, mode, content)
	})
	if err != nil {
		return nil, err
	}
	if err := out.add("TRAILER!!!", 0, nil); err != nil {
		return nil, err
	}
	return has, out.w.Flush()
}

// Sum is one sum over all.
func (p Packed) Sum() string {
	names := make([]string, 0, len(p))
	for n := range p {
		names = append(names, n)
	}
	sort.Strings(names)
	h := sha256.New()
	for _, n := range names {
		fmt.Fprintf(h, "%s\x00%s\x00", n, p[n])
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// entry is a file's mode in cpio's terms and its content: a link's is where it points.
func entry(file string, info fs.FileInfo) (mode uint32, content []byte, err error) {
	switch {
	case info.IsDir():
		return 0o040000 | uint32(info.Mode().Perm()), nil, nil
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(file)
		return 0o120777, []byte(to), err
	case info.Mode().IsRegular():
		content, err = os.ReadFile(file)
		return 0o100000 | uint32(info.Mode().Perm()), content, err
	}
	return 0, nil, fmt.Errorf("%s: a file of a kind that no image has", file)
}

type cpio struct {
	w   *bufio.Writer
	ino int
}

// add writes an entry; each has an inode number of its own, so that none is taken for a hard link of another.
func (c *cpio) add(name string, mode uint32, content []byte) error {
	c.ino++
	fmt.Fprintf(c.w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		c.ino, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	c.pad(110 + len(name) + 1)
	if _, err := c.w.Write(content); err != nil {
		return err
	}
	c.pad(len(content))
	return nil
}

func (c *cpio) pad(n int) {
	for ; n%4 != 0; n++ {
		_ = c.w.WriteByte(0) // the writer keeps its error
	}
}
