// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"safeload/internal/treefile"
)

func sysctlText(helper string) []byte {
	return []byte("# The kernel starts this for request_module(). Made by safeload install;\n" +
		"# safeload uninstall takes it away.\n" +
		"kernel.modprobe = " + helper + "\n")
}

func (r *run) installSysctl(st *State) error {
	if err := r.writeFile(sysctlFile, sysctlText(st.Helper), 0o644,
		"write "+sysctlFile+": kernel.modprobe = "+st.Helper); err != nil {
		return err
	}
	settings, err := SysctlSettings(r.o.Root)
	if err != nil {
		return err
	}
	if n := len(settings); n > 0 && !r.o.DryRun && settings[n-1].File != sysctlFile {
		last := settings[n-1]
		return fmt.Errorf("%s sets kernel.modprobe = %s at every boot, after %s: take it out there first",
			last.File, last.Value, sysctlFile)
	}
	if !r.live {
		r.say("note: the kernel that runs here is not told; the setting holds from the system's next boot")
		return nil
	}
	now, err := readKnob(r.path(sysctlKnob))
	if err != nil {
		return err
	}
	if now == st.Helper {
		return nil
	}
	return r.change(fmt.Sprintf("set kernel.modprobe to %s (was %s)", st.Helper, now), func() error {
		return writeKnob(r.path(sysctlKnob), st.Helper)
	}, func() error { return writeKnob(r.path(sysctlKnob), now) })
}

func (r *run) uninstallSysctl(st *State) error {
	if r.live {
		now, err := readKnob(r.path(sysctlKnob))
		switch {
		case err != nil:
			return err
		case now != st.Helper:
			r.say("note: kernel.modprobe is " + now + ", not ours: left alone")
		default:
			back := st.Previous
			if !st.Known {
				back = defaultPath
			}
			if err := r.change(fmt.Sprintf("set kernel.modprobe to %s (was %s)", back, now), func() error {
				return writeKnob(r.path(sysctlKnob), back)
			}, func() error { return writeKnob(r.path(sysctlKnob), now) }); err != nil {
				return err
			}
		}
	}
	text, err := treefile.Read(r.path(sysctlFile), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if v, ok := modprobeSetting(string(text)); ok && v != st.Helper {
		r.say("note: " + sysctlFile + " was changed and names " + v + ": left alone")
		return nil
	}
	return r.change("remove "+sysctlFile, func() error { return remove(r.path(sysctlFile)) },
		func() error { return replace(r.path(sysctlFile), strings.NewReader(string(text)), 0o644) })
}

// readKnob reads /proc/sys/kernel/modprobe.
func readKnob(path string) (string, error) {
	b, err := treefile.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: the kernel loads no modules by itself (CONFIG_MODULES), or /proc is not mounted", err)
	}
	return strings.TrimSuffix(string(b), "\n"), err
}

// writeKnob sets kernel.modprobe and reads it back: the kernel silently cuts what
// is longer than KMOD_PATH_LEN (256 with the NUL).
func writeKnob(path, value string) error {
	if len(value) > 255 {
		return fmt.Errorf("the kernel takes paths of up to 255 bytes, not %d", len(value))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if now, err := readKnob(path); err != nil || now != value {
		return fmt.Errorf("kernel.modprobe reads %q after writing %q", now, value)
	}
	return nil
}

// Setting is one assignment of kernel.modprobe in a file of sysctl.d(5).
type Setting struct{ File, Value string }

// SysctlSettings returns what the sysctl files of the system below root say of
// kernel.modprobe, in the order in which a boot applies them: the last one
// holds.
func SysctlSettings(root string) ([]Setting, error) {
	byName := map[string]string{}
	for _, dir := range []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"} {
		entries, err := os.ReadDir(inRoot(root, dir+"/"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return nil, err
		}
		for _, e := range entries {
			if n := e.Name(); strings.HasSuffix(n, ".conf") && byName[n] == "" {
				byName[n] = dir + "/" + n
			}
		}
	}
	var order []string
	for n := range byName {
		order = append(order, n)
	}
	slices.Sort(order)
	var files []string
	for _, n := range order {
		files = append(files, byName[n])
	}
	// procps reads it last, by itself; systemd through Debian's link
	// 99-sysctl.conf.
	files = append(files, "/etc/sysctl.conf")
	var found []Setting
	for _, f := range files {
		text, err := treefile.Read(inRoot(root, f), maxFile)
		if err != nil {
			continue // gone, or a dangling link: sysctl passes it over too
		}
		if v, ok := modprobeSetting(string(text)); ok {
			found = append(found, Setting{f, v})
		}
	}
	return found, nil
}

// modprobeSetting finds the last kernel.modprobe of one file (sysctl.d(5)):
// "kernel.modprobe=V", dots or slashes, an optional '-' before.
func modprobeSetting(text string) (value string, ok bool) {
	for _, l := range strings.Split(text, "\n") {
		key, v, found := strings.Cut(strings.TrimSpace(l), "=")
		key = strings.TrimPrefix(strings.TrimSpace(key), "-")
		if found && (key == "kernel.modprobe" || key == "kernel/modprobe") {
			value, ok = strings.TrimSpace(v), true
		}
	}
	return value, ok
}
