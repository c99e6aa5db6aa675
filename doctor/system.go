// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"safeload/internal/treefile"
)

// system reads files below a root.
type system struct {
	root   string
	mounts map[string]string // mount point -> type
}

func (s system) path(name string) string { return filepath.Join(s.root, name) }

// maxText is far larger than any file that is read whole.
const maxText = 256 << 20

func (s system) read(name string) (string, error) {
	b, err := treefile.Read(s.path(name), maxText)
	return string(b), err
}

// line reads a file that holds one value.
func (s system) line(name string) (string, error) {
	text, err := s.read(name)
	return strings.TrimSpace(text), err
}

func (s system) exists(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil
}

// whyNot words an error of reading a file for a report.
func whyNot(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "not readable without root"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	}
	return err.Error()
}

func (s *system) readMounts() {
	text, _ := s.read("/proc/self/mounts")
	s.mounts = map[string]string{}
	for l := range strings.Lines(text) {
		if f := strings.Fields(l); len(f) >= 3 {
			s.mounts[f[1]] = f[2]
		}
	}
}

func (s system) mounted(point, kind string) bool { return s.mounts[point] == kind }

// config is the kernel's configuration; nil if none was found.
type config map[string]string

// kernelConfig reads the kernel's configuration from the places where kernels and
// distributions leave it.
func (s system) kernelConfig(release string) config {
	if f, err := treefile.Open(s.path("/proc/config.gz")); err == nil {
		defer f.Close()
		if z, err := gzip.NewReader(f); err == nil {
			if text, err := io.ReadAll(io.LimitReader(z, maxText)); err == nil {
				return parseConfig(text)
			}
		}
	}
	if release == "" {
		return nil
	}
	for _, name := range []string{"/boot/config-" + release, "/lib/modules/" + release + "/config", "/lib/modules/" + release + "/build/.config"} {
		if text, err := s.read(name); err == nil {
			return parseConfig([]byte(text))
		}
	}
	return nil
}

func parseConfig(text []byte) config {
	c := config{}
	sc := bufio.NewScanner(bytes.NewReader(text))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if k, v, ok := strings.Cut(sc.Text(), "="); ok && strings.HasPrefix(k, "CONFIG_") {
			c[strings.TrimPrefix(k, "CONFIG_")] = strings.Trim(v, `"`)
		}
	}
	return c
}

func (c config) yes(name string) bool { return c[name] == "y" }
