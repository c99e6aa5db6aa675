// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// damagedModules are a module in each compression and what can happen to such
// a file, by file name.
func damagedModules(t *tree) map[string]string {
	files := map[string]string{}
	packed, err := os.ReadFile(filepath.Join(t.dir, t.paths[0]))
	if err != nil {
		return files
	}
	plain := packed
	if filepath.Ext(t.paths[0]) == ".xz" {
		if plain, err = exec.Command("xz", "-dc", filepath.Join(t.dir, t.paths[0])).Output(); err != nil {
			return files
		}
	}
	files["whole.ko"] = string(plain)
	hurt(files, ".ko", plain)
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, _ = w.Write(plain)
	_ = w.Close()
	z, _ := zstd.NewWriter(nil)
	formats := map[string][]byte{".ko.gz": gz.Bytes(), ".ko.zst": z.EncodeAll(plain, nil)}
	if &packed[0] != &plain[0] {
		formats[".ko.xz"] = packed
	}
	for ext, b := range formats {
		files["whole"+ext] = string(b)
		hurt(files, ext, b)
	}
	return files
}

func hurt(files map[string]string, ext string, b []byte) {
	flip := func(at int) string {
		c := slices.Clone(b)
		c[at] ^= 0xff
		return string(c)
	}
	files["head"+ext] = string(b[:7])
	files["header"+ext] = string(b[:40])
	files["half"+ext] = string(b[:len(b)/2])
	files["cut"+ext] = string(b[:len(b)-100])
	files["last"+ext] = string(b[:len(b)-1])
	files["more"+ext] = string(b) + "something else\n"
	files["zeros"+ext] = string(b) + "\x00\x00\x00\x00\x00\x00\x00\x00"
	files["twice"+ext] = string(b) + string(b)
	files["flip7"+ext] = flip(7)
	files["flip20"+ext] = flip(20)
	files["flipmid"+ext] = flip(len(b) / 2)
	files["flipend"+ext] = flip(len(b) - 6)
	files["fliplast"+ext] = flip(len(b) - 1)
}
