// SPDX-License-Identifier: Apache-2.0

package install

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"safeload/internal/elfhead"
	"safeload/internal/program"
	"safeload/internal/treefile"
)

// FindHelper returns the safeload-modprobe beside this program, under that name or
// with the same ending as this program (scripts/build.sh). If there is none, it
// returns the one in a system directory.
func FindHelper() (string, error) {
	var files []string
	if exe, err := os.Executable(); err == nil {
		dir, base := filepath.Split(exe)
		files = append(files, filepath.Join(dir, "safeload-modprobe"))
		if end, ok := strings.CutPrefix(base, "safeload"); ok && end != "" {
			files = append(files, filepath.Join(dir, "safeload-modprobe"+end))
		}
	}
	files = append(files, "/usr/sbin/safeload-modprobe", "/usr/local/sbin/safeload-modprobe")
	for _, p := range files {
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", fmt.Errorf("there is none of %s: name it with --helper FILE", strings.Join(files, ", "))
}

// prepare reads and tries everything before anything changes. old is what an
// earlier Install noted, or nil.
func (r *run) prepare(old *State) (*State, error) {
	if err := r.findSource(old); err != nil {
		return nil, err
	}
	st := &State{Via: r.o.Via}
	if old != nil {
		*st = *old
	}
	st.Helper, st.Copied = r.place(old)
	if st.Via == Divert {
		file, names, err := r.modprobeFile()
		if err != nil {
			return nil, err
		}
		// The helper's own place does not matter: a copy takes modprobe's.
		st.Helper, st.Copied = r.inside(file), false
		if old == nil {
			st.Diverted = names
		}
	}
	if err := r.executable(st.Helper); err != nil {
		return nil, err
	}
	like := ""
	if old == nil {
		if r.live {
			now, err := readKnob(r.path(sysctlKnob))
			if err != nil && st.Via == Sysctl {
				return nil, err
			}
			st.Known, st.Previous = err == nil, now
			r.remark(st)
		}
		like = r.present(st)
		if err := r.try(trial{root: r.o.Root, path: like, old: true}); err != nil {
			if st.Via == Divert {
				return nil, fmt.Errorf("the present modprobe does not work, which a diversion would keep: %w", err)
			}
			r.say("note: the present modprobe does not work: " + err.Error())
			st.Broken, like = true, ""
		}
	}
	return st, r.tryNew(like)
}

// remark reports what may surprise in the present kernel.modprobe.
func (r *run) remark(st *State) {
	switch {
	case st.Known && st.Previous == "":
		r.say("note: kernel.modprobe is empty: this system had the kernel's requests turned off")
	case st.Known && st.Via == Sysctl && st.Previous == st.Helper:
		st.Previous = defaultPath // an installation that nothing is noted of
	case st.Known && st.Via == Divert && st.Previous != modprobeNames[0] && st.Previous != modprobeNames[1]:
		r.say("note: kernel.modprobe is " + st.Previous + ": the kernel will not meet the diverted modprobe")
	}
}

func (r *run) findSource(old *State) (err error) {
	r.source = r.o.Helper
	if r.source == "" && r.o.Root != "/" {
		if p := r.path("/usr/sbin/safeload-modprobe"); exists(p) {
			r.source = p
		}
	}
	if r.source == "" {
		if r.source, err = FindHelper(); err != nil {
			return err
		}
	}
	if r.source, err = filepath.Abs(r.source); err != nil {
		return err
	}
	fi, err := os.Stat(r.source)
	if err != nil {
		return fmt.Errorf("find the helper: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("the helper %s is no file", r.source)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// place chooses where the kernel will find the helper: where it is, if only root
// can write there, and otherwise a copy of our own.
func (r *run) place(old *State) (helper string, copied bool) {
	if old != nil && old.Copied {
		return old.Helper, true
	}
	inside := r.inside(r.source)
	if inside == "" || volatile(inside) || onlyRoot(inside, r.o.Root) != nil {
		return ownHelper, inside != ownHelper
	}
	return inside, false
}

// volatile lists directories that may be empty after a boot.
func volatile(path string) bool {
	for _, d := range []string{"/tmp/", "/run/", "/dev/", "/var/tmp/", "/mnt/", "/media/", "/home/", "/root/"} {
		if strings.HasPrefix(path, d) {
			return true
		}
	}
	return false
}

// onlyRoot fails if a user other than root can change what a path of the system
// below root leads to. It checks each directory and link on the way, and those on
// the way to a link's target.
func onlyRoot(name, root string) error {
	at, links := "/", 0
	pending := append([]string{"."}, strings.Split(name, "/")...) // the root itself first
	for len(pending) > 0 {
		part := pending[0]
		pending = pending[1:]
		if part == "" {
			continue
		}
		next := filepath.Join(at, part)
		real := filepath.Join(root, next)
		var st unix.Stat_t
		if err := unix.Lstat(real, &st); err != nil {
			return fmt.Errorf("look at %s: %w", real, err)
		}
		link := st.Mode&unix.S_IFMT == unix.S_IFLNK // its mode means nothing
		// In a sticky directory, as the root of an initramfs is, others cannot
		// replace what is root's.
		sticky := st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0
		if st.Uid != 0 || st.Mode&0o022 != 0 && !sticky && !link {
			return fmt.Errorf("%s can be changed by others than root", real)
		}
		if !link {
			at = next
			continue
		}
		if links++; links > 40 {
			return fmt.Errorf("follow %s: %w", real, unix.ELOOP)
		}
		target, err := os.Readlink(real)
		if err != nil {
			return err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		pending = append(strings.Split(target, "/"), pending...)
	}
	return nil
}

// present returns the modprobe in force, by the name that the system has for it.
func (r *run) present(st *State) string {
	if st.Previous != "" && st.Via == Sysctl {
		return st.Previous
	}
	for _, n := range modprobeNames {
		if _, err := os.Lstat(r.path(n)); err == nil {
			return n
		}
	}
	return defaultPath
}

// tryNew tries the helper on the running system.
func (r *run) tryNew(like string) error {
	if err := r.rightMachine(); err != nil {
		return err
	}
	if r.o.DryRun {
		r.say("note: nothing is tried in a dry run")
		return nil
	}
	if r.o.Root != "/" {
		r.say("note: nothing is tried: programs of " + r.o.Root + " are not run")
	}
	t := trial{root: r.o.Root, path: r.inside(r.source), like: like}
	if t.path == "" { // outside of the image: looked for there, not run either
		t.root, t.path, t.like = "", r.source, ""
	}
	if err := r.o.try(t); err != nil {
		return fmt.Errorf("the new modprobe %s was tried and does not work, nothing was changed: %w", r.source, err)
	}
	return nil
}

// executable fails if the helper's future place is on a file system mounted
// noexec. A trial at its present place does not show that.
func (r *run) executable(helper string) error {
	if r.o.Root != "/" {
		return nil // an image may be mounted otherwise where it runs
	}
	dir := filepath.Dir(helper)
	for !exists(dir) {
		dir = filepath.Dir(dir) // made later
	}
	if err := program.NoExec(dir); err != nil {
		return fmt.Errorf("the helper's place %s: %w", helper, err)
	}
	return nil
}

// rightMachine compares the helper's architecture with that of an image's programs,
// which may not run here. On the running system the trial shows more.
func (r *run) rightMachine() error {
	if r.o.Root == "/" {
		return nil
	}
	helper, err := machine(r.source)
	if err != nil {
		return fmt.Errorf("the helper %s: %w", r.source, err)
	}
	for _, name := range []string{"/bin/kmod", "/usr/bin/kmod", "/bin/sh", "/bin/busybox"} {
		p := resolve(r.o.Root, name)
		if have, err := machine(p); err == nil {
			if have != helper {
				return fmt.Errorf("the helper %s is for %v, %s of this system is for %v", r.source, helper, name, have)
			}
			return nil
		}
	}
	return nil
}

// machine is what a program is for. One of an image may be anything, as a pipe.
func machine(path string) (elf.Machine, error) {
	f, err := treefile.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head [elfhead.Size64]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return 0, err
	}
	h, ok := elfhead.Read(head[:n])
	if !ok {
		return 0, errors.New("it is no ELF program")
	}
	return elf.Machine(h.Machine), nil
}

// resolve follows all links of a path, the last one too, within the root.
func resolve(root, name string) string {
	for range 8 {
		p := inRoot(root, name)
		target, err := os.Readlink(p)
		if err != nil {
			return p
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(strings.TrimPrefix(p, strings.TrimSuffix(root, "/"))), target)
		}
		name = target
	}
	return inRoot(root, name)
}

// tryOld makes sure that the old modprobe works, so that one can go back to it.
func (r *run) tryOld(st *State) error {
	if st.Broken {
		return nil
	}
	t := trial{root: r.o.Root, path: st.Previous, old: true}
	if st.Via == Divert {
		file, _, err := r.modprobeFile()
		if err != nil {
			return err
		}
		if kept := file + keptSuffix; exists(resolve(r.o.Root, r.inside(kept))) {
			t.path = r.inside(kept)
		} else {
			t.path = r.inside(file)
		}
	} else if t.path == "" {
		t.path = defaultPath
	}
	if err := r.try(t); err != nil {
		return fmt.Errorf("uninstall: the modprobe to go back to, %s, does not work, so nothing was changed (install kmod first): %w", t.path, err)
	}
	return nil
}
