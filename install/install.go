// SPDX-License-Identifier: Apache-2.0

// Package install makes safeload-modprobe the program that the kernel starts
// for request_module(), and undoes it.
//
// Two ways lead there. [Sysctl] leaves the file system's modprobe alone and
// points kernel.modprobe at the helper, now and at every boot (sysctl.d(5));
// people and scripts that type modprobe still get kmod's. [Divert] puts the
// helper in modprobe's own place, where everybody meets it, with kmod's kept
// beside it by dpkg-divert(1).
//
// At no moment, a crash included, is there no modprobe: the new one is tried
// before anything changes, each change is one rename(2) or one write(2), a
// failure undoes what was done before it, and what was there is written down
// first so that [Uninstall] brings back exactly that.
//
// All need root (CAP_DAC_OVERRIDE for the files, CAP_SYS_ADMIN in the initial
// user namespace for /proc/sys/kernel/modprobe).
package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Via is how the helper comes to be called.
type Via string

const (
	Sysctl Via = "sysctl"
	Divert Via = "divert"
)

// Options of [Install] and [Uninstall].
type Options struct {
	Root   string // of the system to change; empty or "/": the one that runs
	Via    Via    // empty: Sysctl
	Helper string // safeload-modprobe, on this machine; empty: [FindHelper]
	DryRun bool   // change nothing, report what would be
	// Program is safeload itself, which a unit starts at boot to leave the
	// probe in the kernel; Probe does so now. Without them neither is done.
	Program string
	Probe   Probe
	// Report takes one line for each change, and each thing of note.
	Report func(line string)

	// divert runs dpkg-divert; nil: the real one. For tests.
	divert func(args ...string) error
	// try tries a modprobe; nil: the real thing. For tests.
	try func(t trial) error
	// live overrides whether the running kernel is to be told. For tests.
	live *bool
}

// Places, all below the root.
const (
	stateDir    = "/var/lib/safeload"
	stateFile   = stateDir + "/installed"
	sysctlFile  = "/etc/sysctl.d/60-safeload.conf"
	sysctlKnob  = "/proc/sys/kernel/modprobe"
	ownHelper   = "/usr/local/sbin/safeload-modprobe"
	defaultPath = "/sbin/modprobe" // the kernel's CONFIG_MODPROBE_PATH
)

// maxFile bounds what is read of an image, which may be a stranger's.
const maxFile = 64 << 20

// Install makes the helper the kernel's modprobe. A second call keeps what is as it
// should be, repairs what is damaged and replaces an older helper.
func Install(o Options) error {
	r, err := begin(o)
	if err != nil {
		return err
	}
	defer r.end()
	old, err := readState(r.path(stateFile))
	if err != nil {
		return err
	}
	if old != nil && old.Via != r.o.Via {
		return fmt.Errorf("install via %s: safeload is installed via %s; run safeload uninstall first", r.o.Via, old.Via)
	}
	st, err := r.prepare(old)
	if err != nil {
		return err
	}
	if r.o.Program != "" {
		r.planProbe(st, old)
	}
	r.noteMissing(st)
	if err := r.carryOut(st); err != nil {
		err = r.rollback(err)
		if old == nil {
			r.unmake(st)
		}
		return err
	}
	if r.changes == 0 {
		r.say("already installed via " + string(st.Via) + ", nothing to change")
	}
	r.hints()
	return nil
}

// carryOut writes st down and then does what it says. An Install that was cut
// short can therefore be undone.
func (r *run) carryOut(st *State) error {
	if err := r.writeState(st); err != nil {
		return err
	}
	if st.Copied {
		if err := r.copyFile(r.source, r.path(st.Helper), "copy the helper to "+st.Helper); err != nil {
			return err
		}
	}
	install := r.installSysctl
	if st.Via == Divert {
		install = r.installDivert
	}
	if err := install(st); err != nil {
		return err
	}
	return r.installProbe(st)
}

// Uninstall restores what was there before [Install]. Without an installation it
// does nothing.
func Uninstall(o Options) error {
	r, err := begin(o)
	if err != nil {
		return err
	}
	defer r.end()
	st, err := readState(r.path(stateFile))
	if err != nil {
		return err
	}
	if st == nil {
		r.say("not installed, nothing to change")
		return nil
	}
	if err := r.tryOld(st); err != nil {
		return err
	}
	switch st.Via {
	case Divert:
		err = r.uninstallDivert(st)
	default:
		err = r.uninstallSysctl(st)
	}
	if err == nil {
		err = r.uninstallProbe(st)
	}
	if err != nil {
		return r.rollback(err)
	}
	// From here on the old modprobe is in force; what remains is litter.
	if st.Copied {
		err = r.change("remove "+st.Helper, func() error { return remove(r.path(st.Helper)) }, nil)
	}
	err = errors.Join(err, r.change("remove "+stateFile, func() error { return remove(r.path(stateFile)) }, nil))
	r.unmake(st)
	r.hints()
	return err
}

// Installed returns how safeload is installed below root, nil if it is not.
func Installed(root string) (*State, error) { return readState(filepath.Join(root, stateFile)) }

func (r *run) hints() {
	if r.changes == 0 {
		return
	}
	if _, err := os.Stat(r.path("/etc/initramfs-tools")); err == nil {
		r.say("note: run update-initramfs -u, so that the initramfs follows")
	} else if _, err := os.Stat(r.path("/usr/lib/dracut")); err == nil {
		r.say("note: run dracut --force, so that the initramfs follows")
	}
}
