// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"safeload/internal/treefile"
)

// Probe loads the probe into the running kernel and unloads it.
type Probe interface {
	There() bool
	Load() error
	Unload() error
}

// Places of the unit that leaves the probe in the kernel early at each boot.
const (
	unitName   = "safeload-probe.service"
	packUnit   = "/usr/lib/systemd/system/" + unitName
	ownUnit    = "/etc/systemd/system/" + unitName
	unitWanted = "/etc/systemd/system/sysinit.target.wants/" + unitName
	packaged   = "/usr/sbin/safeload" // which the package's unit starts
)

// unitText is packaging/systemd/safeload-probe.service for a program that lies
// elsewhere.
func unitText(program string) []byte {
	return []byte(`# Made by safeload install; safeload uninstall takes it away.
[Unit]
Description=Leave safeload's probe in the kernel
Documentation=man:safeload(8)
DefaultDependencies=no
After=sys-kernel-tracing.mount
Before=systemd-modules-load.service systemd-udevd.service systemd-udev-trigger.service sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=20s
TimeoutStopSec=5s
ExecStart=-"` + program + `" probe load
ExecStop=-"` + program + `" probe unload

[Install]
WantedBy=sysinit.target
`)
}

// installProbe loads the probe now, and early at each boot. The guard works without
// it, so a failure is only reported.
func (r *run) installProbe(st *State) error {
	if st.Unit != "" {
		if st.Unit == ownUnit {
			if err := r.writeFile(ownUnit, unitText(st.Program), 0o644, "write "+ownUnit+": the probe at each boot"); err != nil {
				return err
			}
		}
		if err := r.link(st.Unit, unitWanted); err != nil {
			return err
		}
	}
	if !r.live || r.o.Probe == nil {
		return nil
	}
	if r.o.DryRun {
		r.say("would leave the probe in the kernel")
		return nil
	}
	if err := r.o.Probe.Load(); err != nil {
		r.say("note: the probe is not in the kernel: " + err.Error())
	}
	return nil
}

// planProbe decides where the unit will be, if there can be one. old is what an
// earlier Install noted, or nil.
func (r *run) planProbe(st, old *State) {
	if old == nil && r.live && r.o.Probe != nil {
		st.Probed = r.o.Probe.There()
	}
	if st.Unit != "" {
		return
	}
	if !exists(r.path("/usr/lib/systemd/systemd")) && !exists(r.path("/lib/systemd/systemd")) {
		r.say("note: no systemd here: have the boot run \"safeload probe load\" before modules are loaded")
		return
	}
	program := r.inside(r.o.Program)
	if program == "" && exists(r.path(packaged)) {
		program = packaged
	}
	switch {
	case program == packaged && exists(r.path(packUnit)):
		st.Unit, st.Program = packUnit, program
	case program == "" || strings.ContainsAny(program, "\"\\%$\n"):
		r.say("note: no safeload in " + r.o.Root + " that a unit could start: the probe is not set up at boot")
	case volatile(program) || onlyRoot(program, r.o.Root) != nil:
		r.say("note: " + program + " is not root's alone, or not there at boot: the probe is not set up at boot")
	default:
		st.Unit, st.Program = ownUnit, program
	}
}

// link makes a symbolic link, and replaces a link that leads elsewhere.
func (r *run) link(target, name string) error {
	path := r.path(name)
	was, err := os.Readlink(path)
	switch {
	case err == nil && was == target:
		return nil
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is no link: %w", name, err)
	}
	return r.change("link "+name+" to "+target, func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := remove(path); err != nil {
			return err
		}
		return os.Symlink(target, path)
	}, func() error {
		if err := remove(path); err != nil || was == "" {
			return err
		}
		return os.Symlink(was, path)
	})
}

// uninstallProbe removes the unit and unloads the probe.
func (r *run) uninstallProbe(st *State) error {
	if st.Unit != "" {
		if was, err := os.Readlink(r.path(unitWanted)); err == nil && was == st.Unit {
			if err := r.change("remove "+unitWanted, func() error { return remove(r.path(unitWanted)) },
				func() error { return os.Symlink(was, r.path(unitWanted)) }); err != nil {
				return err
			}
		}
	}
	if text, err := treefile.Read(r.path(ownUnit), maxFile); st.Unit == ownUnit && err == nil {
		if string(text) != string(unitText(st.Program)) {
			r.say("note: " + ownUnit + " was changed: left alone")
		} else if err := r.change("remove "+ownUnit, func() error { return remove(r.path(ownUnit)) },
			func() error { return replace(r.path(ownUnit), strings.NewReader(string(text)), 0o644) }); err != nil {
			return err
		}
	}
	if !r.live || r.o.Probe == nil || st.Probed {
		return nil
	}
	if r.o.DryRun {
		r.say("would take the probe out of the kernel")
		return nil
	}
	if err := r.o.Probe.Unload(); err != nil {
		r.say("note: the probe is still in the kernel: " + err.Error())
	}
	return nil
}
