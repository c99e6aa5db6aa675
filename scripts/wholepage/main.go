// SPDX-License-Identifier: Apache-2.0

// Command wholepage has the data of programs end with a page, by their headers: the zeros that follow in the file are
// then data, not the beginning of .bss.
//
// Where data ends within a page, the kernel clears the rest of it when it starts the program (elf_load, padzero), and
// copies the page for that: a page fault, of the eight that a failing lookup of safeload-modprobe has without it.
package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

func main() {
	code := 0
	for _, name := range os.Args[1:] {
		if err := file(name); err != nil {
			fmt.Fprintf(os.Stderr, "wholepage: %s: %v\n", name, err)
			code = 1
		}
	}
	os.Exit(code)
}

func file(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before := bytes.Clone(b)
	if err := fill(b); err != nil || bytes.Equal(b, before) {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	// What is not changed is not written: whatever happens, the file is whole.
	for i := range b {
		if err == nil && b[i] != before[i] {
			_, err = f.WriteAt(b[i:i+1], int64(i))
		}
	}
	return errors.Join(err, f.Close())
}

// page is the smallest that there is: with a larger one nothing is gained, nor lost.
const page = 4096

// fill changes the header of the data's segment.
func fill(b []byte) error {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return err
	}
	for i, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Flags&elf.PF_W == 0 {
			continue
		}
		end := (p.Off + p.Filesz + page - 1) / page * page
		switch {
		case end > uint64(len(b)) || end-p.Off > p.Memsz:
			return errors.New("the file, or what is zero behind its data, ends before the page")
		case len(bytes.Trim(b[p.Off+p.Filesz:end], "\x00")) > 0:
			return errors.New("what follows the data in its page is not zero")
		}
		if f.Class == elf.ELFCLASS64 {
			at := f.ByteOrder.Uint64(b[32:]) + uint64(i)*uint64(binary.Size(elf.Prog64{}))
			f.ByteOrder.PutUint64(b[at+32:], end-p.Off)
		} else {
			at := uint64(f.ByteOrder.Uint32(b[28:])) + uint64(i)*uint64(binary.Size(elf.Prog32{}))
			f.ByteOrder.PutUint32(b[at+16:], uint32(end-p.Off))
		}
		return nil
	}
	return errors.New("no segment of it can be written to")
}
