// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Two paragraphs of a Packages file as Debian has it, shortened, and one of a control file with what the others lack.
const index = `Package: linux-headers-6.12.95+deb12-armmp
Source: linux-signed
Version: 6.12.95-1~bpo12+1
Installed-Size: 22000
Architecture: armhf
Depends: linux-headers-6.12.95+deb12-common (= 6.12.95-1~bpo12+1), linux-kbuild-6.12.95+deb12,
 linux-compiler-gcc-12-arm | gcc:any
Description: Header files
 for use on ARMv7
 .
 Depends: nothing, it is text
Filename: pool/main/l/linux/x.deb

Package: kmod
Version: 30+20221128-1
Pre-Depends: init-system-helpers (>= 1.54~)
depends: libc6 (>= 2.34), liblzma5 (>= 5.1.1alpha+20120614), libssl3t64 | libssl3, zlib1g
Architecture: armhf


Package: last
`

func TestReadPackages(t *testing.T) {
	var got []Package
	err := ReadPackages(strings.NewReader(index), func(p Package) bool { got = append(got, p); return true })
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{
		{Name: "linux-headers-6.12.95+deb12-armmp", Version: "6.12.95-1~bpo12+1", Architecture: "armhf",
			Depends: []Dependency{{"linux-headers-6.12.95+deb12-common"}, {"linux-kbuild-6.12.95+deb12"}, {"linux-compiler-gcc-12-arm", "gcc"}}},
		{Name: "kmod", Version: "30+20221128-1", Architecture: "armhf", PreDepends: []Dependency{{"init-system-helpers"}},
			Depends: []Dependency{{"libc6"}, {"liblzma5"}, {"libssl3t64", "libssl3"}, {"zlib1g"}}},
		{Name: "last"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if libraries := got[1].Libraries(); !slices.Equal(libraries, []string{"libc6", "liblzma5", "libssl3t64", "zlib1g"}) {
		t.Errorf("libraries %q", libraries)
	}
	seen := 0
	if err := ReadPackages(strings.NewReader(index), func(Package) bool { seen++; return false }); err != nil || seen != 1 {
		t.Errorf("who has had enough saw %d, %v", seen, err)
	}
	for _, damaged := range []string{" goes on\n", "Package: a\nno field\n", ": no name\n", "Package: a\n\n goes on\n"} {
		if err := ReadPackages(strings.NewReader(damaged), func(Package) bool { return true }); err == nil {
			t.Errorf("%q gave no error", damaged)
		}
	}
	for _, nothing := range []string{"", "\n\n"} {
		if err := ReadPackages(strings.NewReader(nothing), func(Package) bool { t.Error("a package in nothing"); return true }); err != nil {
			t.Error(err)
		}
	}
}

func FuzzReadPackages(f *testing.F) {
	f.Add(index)
	f.Add("Package: a\nDepends: |,(,[<")
	f.Fuzz(func(t *testing.T, text string) {
		_ = ReadPackages(strings.NewReader(text), func(p Package) bool {
			for _, d := range append(p.Depends, p.PreDepends...) {
				if len(d) == 0 || slices.Contains(d, "") {
					t.Errorf("an empty name in %q", p)
				}
			}
			return true
		})
	})
}

func TestCompare(t *testing.T) {
	// Each is older than the next.
	order := []string{"", "1~rc1", "1", "6.1.0-9-armmp", "6.1.0-50-armmp", "6.12.9+deb12-armmp", "6.12.95+deb12-armmp", "6.12.95+deb13-armmp", "6.12.117+deb12-armmp",
		"7.0.1+deb14-arm64"}
	for i, a := range order {
		for j, b := range order {
			if got := Compare(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("Compare(%q, %q) = %d", a, b, got)
			}
		}
	}
	for _, same := range [][2]string{{"1.0", "1.00"}, {"1.01", "1.1"}} {
		if Compare(same[0], same[1]) != 0 {
			t.Errorf("%q are not the same", same)
		}
	}
}

func TestSourcesList(t *testing.T) {
	const targets = `Debian|http://m.example/debian/|bookworm|main
Debian|http://m.example/debian/|bookworm|main
Debian|http://m.example/debian/|bookworm-updates|main
Debian|http://m.example/security/|bookworm-security|main
Other|http://o.example/|stable|main
not a target
`
	const signed = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
	want := signed + "http://m.example/debian/ bookworm main\n" + signed + "http://m.example/debian/ bookworm-backports main\n" +
		signed + "http://m.example/debian/ bookworm-updates main\n" + signed + "http://m.example/security/ bookworm-security main\n"
	if d := cmp.Diff(want, sourcesList(targets, "")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(signed+"http://m.example/debian/ trixie main\n", sourcesList(targets, "trixie")); d != "" {
		t.Error(d)
	}
	if got := sourcesList("Other|http://o.example/|stable|main\n", ""); got != "" {
		t.Errorf("of no Debian: %q", got)
	}
}

func TestWarnings(t *testing.T) {
	const said = "Hit:1 http://m.example bookworm\nE: Failed to fetch x\nE: Some index files failed to download.\n"
	if got := warnings(said, errors.New("exit status 100")); !slices.Equal(got, []string{"Failed to fetch x"}) {
		t.Errorf("%q", got)
	}
	if got := warnings(said, nil); got != nil {
		t.Errorf("without a failure: %q", got)
	}
}

func TestFileOf(t *testing.T) {
	for uris, want := range map[string]string{
		"'http://m.example/pool/k/kmod_30-1_armhf.deb' kmod_30-1_armhf.deb 92000 SHA256:0123\n": "kmod_30-1_armhf.deb",
		"": "", "'http://m.example/x'\n": "", "'http://m.example/x' ../x 1 SHA256:0\n": "",
	} {
		if got := fileOf(uris); got != want {
			t.Errorf("%q: %q", uris, got)
		}
	}
}
