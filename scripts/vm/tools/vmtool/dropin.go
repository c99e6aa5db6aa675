// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func init() { tools["dropin"] = dropin }

// dropin loads modules one after the other and removes them in reverse, and prints what came of it, so that the
// programs of two directories can be compared: lines "KEY TEXT", of which those of a key belong together.
//
//	vmtool dropin DIRECTORY <LIST
//
// After each request: its exit code, and a digest of all modules with their sizes, use counts and users and of
// the parameters of those that are new. After every forty and at the end: what DIRECTORY/lsmod prints. At the end:
// all parameters.
func dropin(args []string) int {
	if len(args) != 1 {
		return fatal("dropin: a directory is needed")
	}
	var names []string
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		names = append(names, s.Text())
	}
	d := dropIn{dir: args[0], params: map[string]string{}, seen: map[string]bool{}}
	start := time.Now()
	forms := [][]string{{}, {"-q", "--"}, {"-ab"}}
	for i, name := range names {
		rc := d.modprobe(append(slices.Clone(forms[i%len(forms)]), name)...)
		d.tell("load", i, name, rc)
		if i%40 == 39 {
			d.lsmod(fmt.Sprintf("lsmod-%d", i+1))
		}
	}
	fmt.Printf("lasted %.1f s for %d requests\n", time.Since(start).Seconds(), len(names))
	d.lsmod("lsmod")
	for _, k := range slices.Sorted(maps.Keys(d.params)) {
		fmt.Println("parameters", k, d.params[k])
	}
	fmt.Println("loaded", d.loaded)
	start = time.Now()
	slices.Reverse(names)
	for i, name := range names {
		d.tell("remove", i, name, d.modprobe("-r", name))
	}
	fmt.Printf("lasted %.1f s to remove them\n", time.Since(start).Seconds())
	d.lsmod("left")
	return 0
}

type dropIn struct {
	dir string
	// params are all parameters seen, by module and name.
	params map[string]string
	seen   map[string]bool
	loaded int
}

func (d *dropIn) modprobe(args ...string) int {
	err := (&exec.Cmd{Path: d.dir + "/modprobe", Args: append([]string{"modprobe"}, args...), Env: os.Environ()}).Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// tell prints the state after a request. Of a line of /proc/modules the name, size, uses and users count; what
// comes after, an address, differs from boot to boot.
func (d *dropIn) tell(what string, i int, name string, rc int) {
	h := fnv.New32a()
	b, _ := os.ReadFile("/proc/modules")
	n := 0
	for line := range bytes.Lines(b) {
		end := 0
		for range 4 {
			end += bytes.IndexByte(line[end:], ' ') + 1
		}
		h.Write(line[:end])
		n++
		module := line[:bytes.IndexByte(line, ' ')]
		if d.seen[string(module)] {
			continue
		}
		d.seen[string(module)] = true
		files, _ := filepath.Glob("/sys/module/" + string(module) + "/parameters/*")
		for _, file := range files {
			value, err := os.ReadFile(file)
			text := strings.TrimSpace(string(value))
			if err != nil {
				text = err.Error()
			}
			key := strings.TrimPrefix(file, "/sys/module/")
			d.params[key] = text
			fmt.Fprintln(h, key, text)
		}
	}
	d.loaded = n
	// Sixty to a key.
	fmt.Printf("%s-%d %d %s %d %d %08x\n", what, i/60, i, name, rc, n, h.Sum32())
}

func (d *dropIn) lsmod(key string) {
	out, err := (&exec.Cmd{Path: d.dir + "/lsmod", Args: []string{"lsmod"}}).Output()
	if err != nil {
		fmt.Println(key, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	h := fnv.New32a()
	for _, line := range lines {
		fmt.Fprintln(h, line)
	}
	fmt.Printf("%s %d lines %08x\n", key, len(lines), h.Sum32())
	if key == "lsmod" {
		for _, line := range lines {
			fmt.Println("lsmod", line)
		}
	}
}
