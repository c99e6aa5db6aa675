// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safeload/internal/rig/cache"
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

func TestReadURI(t *testing.T) {
	for uris, want := range map[string]offer{
		"'http://m.example/pool/k/kmod_30-1_armhf.deb' kmod_30-1_armhf.deb 92000 SHA256:0123\n": {"kmod_30-1_armhf.deb", 92000, "SHA256:0123"},
		"'http://m.example/x' x 1 \n": {"x", 1, ""},
		"":                            {}, "'http://m.example/x'\n": {}, "'http://m.example/x' ../x 1 SHA256:0\n": {}, "'http://m.example/x' x y SHA256:0\n": {},
	} {
		if got, ok := readURI(uris); got != want || ok != (want != offer{}) {
			t.Errorf("%q: %+v, %v", uris, got, ok)
		}
	}
}

func TestCodename(t *testing.T) {
	for release, want := range map[string]string{"ID=debian\nVERSION_CODENAME=bookworm\n": "bookworm", "VERSION_CODENAME=\"trixie\"\n": "trixie", "ID=x\n": ""} {
		if got := codename(release); got != want {
			t.Errorf("%q: %q", release, got)
		}
	}
}

// apt puts a program in the place of apt-get, which gets UPDATE and PACKAGE, what it says and does for them.
func apt(t *testing.T, update, uris, download string) (*Archive, cache.Cache) {
	dir := t.TempDir()
	script := "#!/bin/sh\ncase \"$*\" in\n" +
		"indextargets*) echo 'Debian|http://m.example/debian/|bookworm|main' ;;\n" +
		"update*) " + update + " ;;\n*print-uris*) " + uris + " ;;\n*download*) " + download + " ;;\nesac\n"
	if err := os.WriteFile(filepath.Join(dir, "apt-get"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	c := cache.Cache(t.TempDir())
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	return &Archive{Cache: c, Say: t.Logf}, c
}

const lists = `mkdir -p "${APT_CONFIG%/etc/*}/state/lists" && : >"${APT_CONFIG%/etc/*}/state/lists/m_binary-armhf_Packages"; `

func TestUpdate(t *testing.T) {
	const out = "echo 'Err:1 http://m.example/debian bookworm InRelease'; echo 'W: Failed to fetch http://m.example: Could not resolve'"
	for _, tt := range []struct {
		what, update  string
		fails, absent bool
		stamped       bool
	}{
		{what: "it reads the lists", update: lists + "echo 'Get:1 http://m.example bookworm InRelease'", stamped: true},
		{what: "nothing has changed", update: lists + "echo 'Hit:1 http://m.example bookworm InRelease'", stamped: true},
		{what: "one suite of two is broken", update: lists + "echo 'Hit:1 http://m.example bookworm InRelease'; echo 'E: Failed'; exit 100", stamped: true},
		{what: "out of reach", update: out, fails: true},
		{what: "out of reach, with lists of before", update: lists + out},
		{what: "an index without its lists", update: "echo 'Get:1 http://m.example bookworm InRelease'", fails: true},
		{what: "its only index is broken today", fails: true, absent: true, update: "echo 'Get:1 http://m.example trixie-backports InRelease'; " +
			"echo 'E: Failed to fetch http://m.example/Packages.xz  File has unexpected size (1 != 2). Mirror sync in progress?'; exit 100"},
		{what: "no such suite", fails: true, absent: true,
			update: "echo \"E: The repository 'http://m.example sid Release' does not have a Release file.\"; exit 100"},
	} {
		a, c := apt(t, tt.update, "", "")
		s := Source{Arch: "armhf"}
		err := a.update(t.Context(), s)
		if (err != nil) != tt.fails || errors.Is(err, ErrNotOffered) != tt.absent {
			t.Errorf("%s: %v", tt.what, err)
		}
		if got := cache.Current(c.Path("apt", s.String(), "updated")); got != tt.stamped {
			t.Errorf("%s: that it was read is noted: %v", tt.what, got)
		}
	}
}

// TestGetWhole: a file that an interrupted download has left is fetched again, and one that comes short is an error.
func TestGetWhole(t *testing.T) {
	const text = "a package\n"
	uris := fmt.Sprintf("echo \"'http://m.example/k.deb' k_1_armhf.deb %d SHA256:%x\"", len(text), sha256.Sum256([]byte(text)))
	s := Source{Arch: "armhf"}
	a, c := apt(t, lists+"echo Hit:1", uris, `echo 'a package' >k_1_armhf.deb`)
	file := c.Path("debs", s.String(), "k_1_armhf.deb")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, before := range []string{"a pack", "another !\n", ""} {
		if err := os.WriteFile(file, []byte(before), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := a.Get(t.Context(), s, "k")
		if now, _ := os.ReadFile(file); err != nil || got != file || string(now) != text {
			t.Errorf("with %q there: %q, %v", before, now, err)
		}
	}
	a, c = apt(t, lists+"echo Hit:1", uris, `printf 'a pack' >k_1_armhf.deb`)
	if _, err := a.Get(t.Context(), s, "k"); err == nil || there(c.Path("debs", s.String(), "k_1_armhf.deb")) {
		t.Errorf("a download that comes short: %v", err)
	}
}

// TestAsk: apt is asked once for a package, and for several at once.
func TestAsk(t *testing.T) {
	const uris = `echo "$*" >>"${APT_CONFIG%/etc/*}/asked"; for n in k l; do echo "'http://m.example/$n' ${n}_1_armhf.deb 2 MD5:0"; done`
	s := Source{Arch: "armhf"}
	a, c := apt(t, lists+"echo Hit:1", uris, `for n; do :; done; echo $n >${n}_1_armhf.deb`)
	// What is offered for another architecture says nothing.
	if _, err := a.ask(t.Context(), Source{Arch: "arm64"}, "k"); err != nil {
		t.Fatal(err)
	}
	if err := a.update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, err := a.ask(t.Context(), s, "k", "l"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"k", "l", "k"} {
		if _, err := a.Get(t.Context(), s, name); err != nil {
			t.Error(err)
		}
	}
	asked, err := os.ReadFile(c.Path("apt", s.String(), "asked"))
	if want := "download --print-uris k l\n"; err != nil || string(asked) != want {
		t.Errorf("apt was asked %q, want %q: %v", asked, want, err)
	}
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
