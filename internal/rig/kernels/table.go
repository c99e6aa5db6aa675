// SPDX-License-Identifier: Apache-2.0

// Package kernels has the kernels of the matrix in the cache: images, modules, headers, and our test modules built against
// these.
package kernels

import (
	"fmt"
	"regexp"
	"strings"

	"safeload/internal/rig/debian"
)

// A Kernel is one of the matrix.
type Kernel struct {
	Key     string
	DebArch string // Debian's name of the architecture
	Arch    string // Go's
	Series  string // "newest" is whatever is newest in the suite, and so is "trixie" in trixie itself
	Flavour string
	Suite   string // that of the same mirrors that has it; empty: the machine's own
}

// Table is all of them. To add a kernel, add a line; machine.go of the rig says how QEMU runs an architecture. On trixie's
// own, which is another build of a version that is there already, a run of the whole matrix has the cases marked quick.
var Table = []Kernel{
	{"arm-6.12", "armhf", "arm", "6.12", "armmp", ""},
	{"arm-6.1", "armhf", "arm", "6.1", "armmp", suiteOf("6.1")},
	{"arm64-6.12", "arm64", "arm64", "6.12", "arm64", ""},
	{"amd64-6.12", "amd64", "amd64", "6.12", "amd64", ""},
	{"arm-newest", "armhf", "arm", "newest", "armmp", "trixie-backports"},
	{"arm64-newest", "arm64", "arm64", "newest", "arm64", "trixie-backports"},
	{"amd64-newest", "amd64", "amd64", "newest", "amd64", "trixie-backports"},
	{"arm-trixie", "armhf", "arm", "trixie", "armmp", "trixie"},
}

// suiteOf is where a series comes from that no later Debian than that suite has: the machine's own suites, which have its
// security updates, too, or that one.
func suiteOf(series string) string {
	if series == oldSeries && debian.HostSuite() != oldSuite {
		return oldSuite
	}
	return ""
}

// oldSeries is the series of oldSuite, the oldest Debian that the rig runs on.
const oldSeries, oldSuite = "6.1", "bookworm"

var otherSeries = regexp.MustCompile(`^([a-z0-9]+)-([0-9]+\.[0-9]+)$`)

// Find is the kernel of that key: one of the matrix, or another series of one of its architectures.
func Find(key string) (Kernel, error) {
	var keys []string
	for _, k := range Table {
		if k.Key == key {
			return k, nil
		}
		keys = append(keys, k.Key)
	}
	if m := otherSeries.FindStringSubmatch(key); m != nil {
		if k, err := OfArch(m[1]); err == nil {
			k.Key, k.Series, k.Suite = key, m[2], suiteOf(m[2])
			return k, nil
		}
	}
	return Kernel{}, fmt.Errorf("no kernel %s (known: %s)", key, strings.Join(keys, " "))
}

// OfArch is the first kernel of an architecture: what a kernel of one's own is like.
func OfArch(arch string) (Kernel, error) {
	for _, k := range Table {
		if k.Arch == arch {
			return k, nil
		}
	}
	return Kernel{}, fmt.Errorf("no kernel of the architecture %s", arch)
}

// Source is where its packages come from.
func (k Kernel) Source() debian.Source { return debian.Source{Arch: k.DebArch, Suite: k.Suite} }

// Memo is the name of the file that notes its newest release: what another table, or another Debian, asks for by the same
// key is another question.
func (k Kernel) Memo() string {
	suite := k.Suite
	if suite == "" {
		suite = debian.HostSuite()
	}
	return strings.Join([]string{k.Key, k.DebArch, k.Series, k.Flavour, suite}, "_") + ".version"
}

// images fits the names of the packages of its series; the first group is the release.
func (k Kernel) images() *regexp.Regexp {
	series := regexp.QuoteMeta(k.Series)
	if k.Series == "newest" || k.Series == "trixie" {
		series = "[0-9]+"
	}
	return regexp.MustCompile(`^linux-image-(` + series + `\.[0-9.]+(?:[+-][a-z0-9]+)?-` + regexp.QuoteMeta(k.Flavour) + `)$`)
}

// A Toolchain compiles for an architecture.
type Toolchain struct{ Kbuild, Prefix string } // the kernel's name for it, the compiler's

// ToolchainFor is that of a Go architecture.
func ToolchainFor(arch string) Toolchain {
	switch arch {
	case "arm64":
		return Toolchain{"arm64", "aarch64-linux-gnu-"}
	case "amd64":
		return Toolchain{"x86", "x86_64-linux-gnu-"}
	}
	return Toolchain{"arm", "arm-linux-gnueabihf-"}
}
