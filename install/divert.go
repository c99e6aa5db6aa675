// SPDX-License-Identifier: Apache-2.0

package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"safeload/internal/treefile"
)

// keptSuffix ends the name to which dpkg moves kmod's modprobe, now and at every
// upgrade. kmod goes by argv[0], so that one is started by exec -a modprobe.
const keptSuffix = ".kmod"

// modprobeNames are the names under which a package may ship modprobe. On a
// merged /usr both are one file, and dpkg, which knows files by the name that
// their package gives, must be told of both: bookworm's kmod ships
// /sbin/modprobe, trixie's /usr/sbin/modprobe (DEP 17).
var modprobeNames = []string{"/sbin/modprobe", "/usr/sbin/modprobe"}

// modprobeFile returns modprobe's real place, and the names to divert.
func (r *run) modprobeFile() (file string, names []string, err error) {
	place := map[string]bool{}
	for _, n := range modprobeNames {
		p := r.path(n)
		if _, err := os.Lstat(p); err != nil {
			continue
		}
		real, err := filepath.EvalSymlinks(filepath.Dir(p))
		if err != nil {
			return "", nil, err
		}
		place[filepath.Join(real, "modprobe")] = true
		file = filepath.Join(real, "modprobe")
		names = append(names, n)
	}
	switch {
	case len(names) == 0:
		return "", nil, errors.New("install via divert: there is neither /sbin/modprobe nor /usr/sbin/modprobe to divert; use --via sysctl")
	case len(place) > 1:
		return "", nil, errors.New("install via divert: /sbin/modprobe and /usr/sbin/modprobe are two files; use --via sysctl")
	}
	return file, names, nil
}

func (r *run) installDivert(st *State) error {
	file, _, err := r.modprobeFile()
	if err != nil {
		return err
	}
	for _, n := range st.Diverted {
		if r.diverted(n) {
			continue
		}
		if err := r.change("tell dpkg to put "+n+" of packages at "+n+keptSuffix,
			func() error { return r.dpkg("--add", n) },
			func() error { return r.dpkg("--remove", n) }); err != nil {
			return err
		}
	}
	kept := file + keptSuffix
	if _, err := os.Lstat(kept); errors.Is(err, fs.ErrNotExist) {
		if err := r.change("keep the present modprobe as "+r.inside(kept),
			func() error { return keep(file, kept) },
			func() error { return remove(kept) }); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return r.takePlace(file, kept, st)
}

// takePlace replaces modprobe by a copy of the helper. A link would not do: the
// programs that make an initramfs copy /sbin/modprobe alone, and a link would
// dangle there.
func (r *run) takePlace(file, kept string, st *State) error {
	content, err := treefile.Read(r.source, maxFile)
	if err != nil {
		return err
	}
	if fi, err := os.Lstat(file); err == nil && fi.Mode().IsRegular() {
		if now, err := treefile.Read(file, maxFile); err == nil && bytes.Equal(now, content) {
			return nil
		}
	}
	if err := r.change("put the helper in place of "+r.inside(file),
		func() error { return replace(file, bytes.NewReader(content), 0o755) },
		func() error { return bringBack(file, kept) }); err != nil {
		return err
	}
	if r.o.DryRun {
		return nil
	}
	return r.try(trial{root: r.o.Root, path: r.inside(file)})
}

func (r *run) uninstallDivert(st *State) error {
	file, _, err := r.modprobeFile()
	if err != nil {
		return err
	}
	kept := file + keptSuffix
	if _, err := os.Lstat(kept); err == nil {
		if err := r.change("bring back "+r.inside(file), func() error {
			// kept stays until dpkg knows, so that a failure can go back.
			return bringBack(file, kept)
		}, nil); err != nil {
			return err
		}
	} else {
		r.say("note: " + r.inside(kept) + " is gone: the helper stays as " + r.inside(file) + " until kmod is installed again")
	}
	for _, n := range st.Diverted {
		if !r.diverted(n) {
			continue
		}
		if err := r.change("tell dpkg to put "+n+" of packages in its place again",
			func() error { return r.dpkg("--remove", n) },
			func() error { return r.dpkg("--add", n) }); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(kept); err == nil && !r.o.DryRun {
		return remove(kept)
	}
	return nil
}

// keep gives a file a second name. It does not follow a link.
func keep(file, kept string) error {
	if err := os.Link(file, kept); err == nil {
		return syncDir(filepath.Dir(kept))
	}
	return duplicate(file, kept)
}

// bringBack replaces file by what kept is, by one rename, and leaves kept there.
func bringBack(file, kept string) error {
	temp := file + ".safeload-old"
	if err := remove(temp); err != nil {
		return err
	}
	if err := keep(kept, temp); err != nil {
		return err
	}
	if err := os.Rename(temp, file); err != nil {
		return err
	}
	// rename(2) does nothing if both are one file already.
	if err := remove(temp); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

// duplicate copies a file, for file systems without hard links.
func duplicate(from, to string) error {
	fi, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	f, err := treefile.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return replace(to, f, fi.Mode().Perm())
}

// diverted reports whether dpkg knows our diversion of a name. The file has three
// lines for each: the name, where the file goes, and the package or ":".
func (r *run) diverted(name string) bool {
	text, err := treefile.Read(r.path("/var/lib/dpkg/diversions"), maxFile)
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	for i := 0; i+2 < len(lines); i += 3 {
		if lines[i] == name && lines[i+1] == name+keptSuffix && lines[i+2] == ":" {
			return true
		}
	}
	return false
}

// dpkg does not move the files (--no-rename): it renames in two steps, between
// which there would be no modprobe.
func (r *run) dpkg(action, name string) error {
	return r.o.divert("--admindir", filepath.Join(r.o.Root, "var/lib/dpkg"), "--quiet", "--local", "--no-rename",
		"--divert", name+keptSuffix, action, name)
}

func dpkgDivert(args ...string) error {
	out, err := exec.Command("dpkg-divert", args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w; use --via sysctl on systems without dpkg", err)
	}
	if err != nil {
		return fmt.Errorf("dpkg-divert: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// inside returns a path as the system itself has it, "" if it is outside of the
// root.
func (r *run) inside(path string) string {
	if r.o.Root == "/" {
		return path
	}
	rest, ok := strings.CutPrefix(path, r.o.Root+"/")
	if !ok {
		return ""
	}
	return "/" + rest
}
