// SPDX-License-Identifier: Apache-2.0

// Package debian fetches Debian's packages of any architecture, through the machine's own apt sources, into the rig's
// cache.
//
// Nothing of the host's apt or dpkg is changed: each architecture has an apt of its own in the cache. Its sources are those
// Debian suites that the host is set up for, and the backports suite of the same mirror, which carries the newer kernels
// when the security suite has none. apt checks the signatures.
package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"safeload/internal/rig/cache"
)

// A Source is where packages of an architecture come from: the machine's own suites, or another suite of the same mirrors,
// of which only the main archive is used.
type Source struct{ Arch, Suite string }

func (s Source) String() string {
	if s.Suite == "" {
		return s.Arch
	}
	return s.Arch + "@" + s.Suite
}

// An Archive fetches packages.
type Archive struct {
	Cache cache.Cache
	Say   func(format string, args ...any)

	offers sync.Map // what apt has said of packages, by place
}

// place is where the offer of a package is kept.
type place struct {
	Source
	name string
}

// ErrNotOffered: the machine's mirrors do not have it. Whatever else goes wrong (no network, a full disk) says nothing
// about that.
var ErrNotOffered = errors.New("the mirrors of this machine's apt sources do not have it")

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// HostArch is Debian's name for the architecture of this machine.
func HostArch(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "dpkg", "--print-architecture").Output()
	return strings.TrimSpace(string(out)), err
}

// HostSuite is the name of this machine's Debian, as bookworm, or empty.
func HostSuite() string {
	release, _ := os.ReadFile("/etc/os-release")
	return codename(string(release))
}

// codename reads os-release(5).
func codename(release string) string {
	for l := range strings.Lines(release) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "VERSION_CODENAME="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}

// apt is a program of apt's with the source's own configuration.
func (a *Archive) apt(ctx context.Context, s Source, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	// What it says is read.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "APT_CONFIG="+a.Cache.Path("apt", s.String(), "etc/apt.conf"))
	return cmd
}

// targetFormat is how sourcesList wants what apt is set up for.
const targetFormat = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"

// sourcesList makes a sources.list of the Debian suites among apt's index targets, with their backports, or of another
// suite of the same mirrors.
func sourcesList(targets, suite string) string {
	lines := map[string]bool{}
	add := func(uri, suite, component string) {
		lines[fmt.Sprintf("deb [signed-by=%s] %s %s %s\n", keyring, uri, suite, component)] = true
	}
	for l := range strings.Lines(targets) {
		f := strings.Split(strings.TrimSpace(l), "|")
		if len(f) != 4 || f[0] != "Debian" {
			continue
		}
		uri, release, component := f[1], f[2], f[3]
		main := !strings.Contains(release, "-")
		switch {
		case suite != "" && main:
			add(uri, suite, component)
		case suite != "":
		default:
			add(uri, release, component)
			if main {
				add(uri, release+"-backports", component)
			}
		}
	}
	all := make([]string, 0, len(lines))
	for l := range lines {
		all = append(all, l)
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

const aptConf = `APT::Architecture "%[1]s";
APT::Architectures { "%[1]s"; };
APT::Sandbox::User "";
Dir::Etc "%[2]s/etc";
Dir::Etc::trusted "/etc/apt/trusted.gpg";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
Dir::State "%[2]s/state";
Dir::State::status "%[2]s/state/status";
Dir::Cache "%[2]s/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "60";
`

func (a *Archive) setup(ctx context.Context, s Source) error {
	dir := a.Cache.Path("apt", s.String())
	for _, d := range []string{"etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	status, err := os.OpenFile(filepath.Join(dir, "state/status"), os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_ = status.Close()
	if err := os.WriteFile(filepath.Join(dir, "etc/apt.conf"), fmt.Appendf(nil, aptConf, s.Arch, dir), 0o644); err != nil {
		return err
	}
	targets, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", targetFormat, "Created-By: Packages").Output()
	if err != nil {
		return fmt.Errorf("apt-get indextargets: %w", err)
	}
	list := sourcesList(string(targets), s.Suite)
	if list == "" {
		return errors.New("apt knows no Debian suite here: run 'apt-get update' first, on a machine with Debian sources")
	}
	return os.WriteFile(filepath.Join(dir, "etc/sources.list"), []byte(list), 0o644)
}

// update reads the package lists, at most once in twelve hours. A suite that the mirror serves in a broken state is left
// out with a warning; what it alone has is then missed where it is asked for, by name. An update that reached nothing is
// made again by whoever asks next; until then the lists of before do, if there are any.
func (a *Archive) update(ctx context.Context, s Source) error {
	return a.Cache.Locked(ctx, "apt-"+s.String(), func() error {
		stamp := a.Cache.Path("apt", s.String(), "updated")
		if cache.Current(stamp) {
			return nil
		}
		if err := a.setup(ctx, s); err != nil {
			return err
		}
		a.Say("apt: reading the package lists for %s", s)
		out, err := a.apt(ctx, s, "apt-get", "update").CombinedOutput()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_ = os.WriteFile(a.Cache.Path("log", "apt-"+s.String()+".log"), out, 0o644)
		for _, w := range warnings(string(out), err) {
			a.Say("apt: warning: %s", w)
		}
		lists, _ := filepath.Glob(a.Cache.Path("apt", s.String(), "state/lists/*_Packages*"))
		switch {
		case reached(string(out)) && len(lists) > 0:
			return os.WriteFile(stamp, nil, 0o644)
		case len(lists) > 0:
			a.Say("apt: warning: nothing was reached for %s, the package lists of before are used", s)
			return nil
		case strings.Contains(string(out), noRelease):
			return fmt.Errorf("%s: %w: %s", s, ErrNotOffered, firstError(string(out)))
		case broken(string(out)):
			return fmt.Errorf("%s: %w in a whole state today: %s", s, ErrNotOffered, firstError(string(out)))
		}
		return fmt.Errorf("apt-get update for %s read no package list: %s", s, firstError(string(out)))
	})
}

// noRelease is what apt-get update says of a mirror that answers, and has no such suite.
const noRelease = "does not have a Release file"

// broken says whether the mirror's index does not agree with its Release file, as while the mirror itself is updated: the
// mirror's fault, which passes.
func broken(said string) bool {
	return strings.Contains(said, "File has unexpected size") || strings.Contains(said, "Hash Sum mismatch")
}

// reached says whether apt-get update has heard from a mirror that it has an index: it exits with 0 where each was only
// out of reach for a while.
func reached(said string) bool {
	for l := range strings.Lines(said) {
		if strings.HasPrefix(l, "Hit:") || strings.HasPrefix(l, "Get:") {
			return true
		}
	}
	return false
}

// firstError is the first error that apt-get reports, or the first warning.
func firstError(said string) string {
	for _, mark := range []string{"E: ", "Err:", "W: "} {
		for l := range strings.Lines(said) {
			if strings.HasPrefix(l, mark) {
				return strings.TrimSpace(l)
			}
		}
	}
	return "apt says nothing of why"
}

// warnings are the errors that apt-get update reports.
func warnings(said string, err error) []string {
	var all []string
	for l := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(l, "E: "); ok && err != nil && !strings.Contains(text, "Some index files") {
			all = append(all, strings.TrimSpace(text))
		}
	}
	return all
}

// Get fetches a package, and gives the path of its file.
func (a *Archive) Get(ctx context.Context, s Source, name string) (string, error) {
	if err := a.update(ctx, s); err != nil {
		return "", err
	}
	dir := a.Cache.Path("debs", s.String())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	var file string
	err := a.Cache.Locked(ctx, "deb-"+s.String(), func() error {
		said, err := a.ask(ctx, s, name)
		known, ok := a.offers.Load(place{s, name})
		if err != nil || !ok {
			return a.unfetched(s, name, said, err)
		}
		want := known.(offer)
		file = filepath.Join(dir, want.name)
		if want.is(file) == nil {
			return nil
		}
		a.Say("apt: fetching %s (%s)", name, s)
		if said, err := a.download(ctx, s, name, want, dir); err != nil {
			return a.unfetched(s, name, said, err)
		}
		return nil
	})
	return file, err
}

// ask has apt say what it has of packages, unless it has said so before: it takes a third of a second to start. Of several it
// says nothing if it does not know one of them.
func (a *Archive) ask(ctx context.Context, s Source, names ...string) (said []byte, err error) {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { _, known := a.offers.Load(place{s, n}); return known })
	if len(names) == 0 {
		return nil, nil
	}
	var errs bytes.Buffer
	cmd := a.apt(ctx, s, "apt-get", append([]string{"download", "--print-uris"}, names...)...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	for l := range strings.Lines(string(out)) {
		if o, ok := readURI(l); ok {
			name, _, _ := strings.Cut(o.name, "_") // NAME_VERSION_ARCH.deb
			a.offers.Store(place{s, name}, o)
		}
	}
	return errs.Bytes(), err
}

// download puts a package into dir, whole or not at all: apt writes to the file's own name, and may be interrupted.
func (a *Archive) download(ctx context.Context, s Source, name string, want offer, dir string) (said []byte, err error) {
	part := filepath.Join(dir, "part")
	if err := errors.Join(os.RemoveAll(part), os.Mkdir(part, 0o755)); err != nil {
		return nil, err
	}
	defer os.RemoveAll(part)
	cmd := a.apt(ctx, s, "apt-get", "download", name)
	cmd.Dir = part
	if said, err := cmd.CombinedOutput(); err != nil {
		return said, err
	}
	got := filepath.Join(part, want.name)
	if err := want.is(got); err != nil {
		return nil, err
	}
	return nil, os.Rename(got, filepath.Join(dir, want.name))
}

func (a *Archive) unfetched(s Source, name string, said []byte, err error) error {
	log := a.Cache.Path("log", "deb-"+s.String()+".log")
	_ = os.WriteFile(log, said, 0o644)
	if err == nil {
		err = errors.New("apt says no file")
	}
	return fmt.Errorf("cannot fetch %s for %s (log: %s): %w", name, s, log, err)
}

// Unpack unpacks packages into a directory.
func (a *Archive) Unpack(ctx context.Context, dir string, s Source, names ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// All at once. What goes wrong is told of the one that it goes wrong with.
	if err := a.update(ctx, s); err == nil {
		_, _ = a.ask(ctx, s, names...)
	}
	for _, n := range names {
		file, err := a.Get(ctx, s, n)
		if err != nil {
			return err
		}
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", file, dir).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: cannot unpack: %w: %s", file, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// Control is what a package says of itself.
func (a *Archive) Control(ctx context.Context, s Source, name string) (Package, error) {
	file, err := a.Get(ctx, s, name)
	if err != nil {
		return Package{}, err
	}
	out, err := exec.CommandContext(ctx, "dpkg-deb", "-f", file).Output()
	if err != nil {
		return Package{}, fmt.Errorf("dpkg-deb -f %s: %w", file, err)
	}
	var p Package
	err = ReadPackages(bytes.NewReader(out), func(found Package) bool { p = found; return false })
	return p, err
}

// Libraries are the packages of the shared libraries that a package needs, whatever this Debian calls them (libssl3,
// libssl3t64).
func (a *Archive) Libraries(ctx context.Context, s Source, name string) ([]string, error) {
	var all []string
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		p, err := a.Control(ctx, s, todo[0])
		if err != nil {
			return nil, err
		}
		for _, l := range p.Libraries() {
			if slices.Contains(all, l) {
				continue
			}
			all = append(all, l)
			// What libc6 asks for beyond itself no modprobe uses.
			if l != "libc6" {
				todo = append(todo, l)
			}
		}
	}
	return all, nil
}

// Index reads what the sources offer: the candidate version of each package.
func (a *Archive) Index(ctx context.Context, s Source, f func(Package) bool) error {
	if err := a.update(ctx, s); err != nil {
		return err
	}
	cmd := a.apt(ctx, s, "apt-cache", "dumpavail")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = ReadPackages(out, f)
	_, _ = io.Copy(io.Discard, out) // f may have had enough
	if e := cmd.Wait(); err == nil && e != nil {
		err = fmt.Errorf("apt-cache dumpavail for %s: %w", s, e)
	}
	return err
}

// Newest is the newest version among packages whose names fit; the pattern's first group has it.
func (a *Archive) Newest(ctx context.Context, s Source, names *regexp.Regexp) (string, error) {
	newest := ""
	err := a.Index(ctx, s, func(p Package) bool {
		if m := names.FindStringSubmatch(p.Name); m != nil && (newest == "" || Compare(m[1], newest) > 0) {
			newest = m[1]
		}
		return true
	})
	return newest, err
}
