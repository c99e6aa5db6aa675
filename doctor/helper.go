// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"debug/buildinfo"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"safeload/install"
	"safeload/internal/program"
)

// helper reports which program the kernel starts for a request, now and after a
// boot.
func (e *examination) helper() {
	e.area = "helper"
	if v, err := e.sys.line("/proc/sys/kernel/modules_disabled"); err == nil && v == "1" {
		e.add(Bad, "modules_disabled", "1", "the kernel loads no module any more until a reboot", "")
	}
	static := e.static()
	path, err := e.sys.line("/proc/sys/kernel/modprobe")
	switch {
	case err != nil && e.whole:
		e.add(Note, "kernel.modprobe", "not there", "nor is anything to load", "")
		return
	case err != nil && e.sys.exists("/proc/sys/kernel"):
		e.add(Bad, "kernel.modprobe", "not there", "this kernel does not load modules by itself (CONFIG_MODULES)", "")
		return
	case err != nil:
		e.add(Unknown, "kernel.modprobe", "unknown", whyNot(err), "mount /proc")
	case path == "":
		e.add(Bad, "kernel.modprobe", "empty", "the kernel's requests for modules are turned off", "sysctl kernel.modprobe=/sbin/modprobe, then safeload install")
	default:
		e.asked("kernel.modprobe", path, static)
	}
	e.askedAtBoot(path)
	e.sbin()
}

// static reports STATIC_USERMODEHELPER, with which the kernel starts one program for
// all its helpers, and gives it the path as argv[0] (call_usermodehelper_setup).
func (e *examination) static() bool {
	switch {
	case e.config == nil:
		e.add(Unknown, "static helper", "unknown", "the kernel's configuration is neither in /proc/config.gz nor in /boot", "")
	case e.config.yes("STATIC_USERMODEHELPER"):
		p := e.config["STATIC_USERMODEHELPER_PATH"]
		if p == "" {
			e.add(Bad, "static helper", "turned off", "CONFIG_STATIC_USERMODEHELPER_PATH is empty: the kernel starts no helper at all", "")
		} else {
			e.add(Warn, "static helper", p, "CONFIG_STATIC_USERMODEHELPER: the kernel starts this whatever kernel.modprobe says",
				"make "+p+" start safeload-modprobe where argv[0] is modprobe's path")
		}
		return true
	default:
		e.add(OK, "static helper", "no", "", "")
	}
	return false
}

func (e *examination) asked(name, path string, static bool) {
	who, err := e.sys.identify(path)
	if err != nil {
		why := "the kernel cannot start it: " + whyNot(err)
		if errors.Is(err, program.ErrFormat) {
			why += "; it may ask for a module of that format, and so start it once more, 50 times for each request"
		}
		e.add(Bad, name, path, why, "safeload install, or install kmod")
		return
	}
	if who != whoSafeload {
		fix := "safeload install"
		if static {
			fix = "" // the kernel starts another program, whatever this says
		}
		e.add(Warn, name, path+" ("+who+")", "safeload is not asked: a load that waits for itself hangs", fix)
		return
	}
	e.r.Asked = !static
	e.add(OK, name, path+" ("+who+")", "", "")
}

// askedAtBoot reports what the next boot will set, if that differs.
func (e *examination) askedAtBoot(now string) {
	settings, err := install.SysctlSettings(e.sys.root)
	if err != nil || len(settings) == 0 {
		if who, err := e.sys.identify("/sbin/modprobe"); now != "" && now != "/sbin/modprobe" && (err != nil || who != whoSafeload) {
			e.add(Warn, "at boot", "not set", "kernel.modprobe is the kernel's default again after a boot", "safeload install")
		}
		return
	}
	last := settings[len(settings)-1]
	if who, err := e.sys.identify(last.Value); err != nil {
		e.add(Bad, "at boot", last.Value, last.File+" sets it, and the kernel could not start it: "+whyNot(err), "safeload install, or take it out of "+last.File)
	} else if last.Value != now {
		e.add(Warn, "at boot", last.Value+" ("+who+")", last.File+" sets it, and it is not what is in force", "sysctl --system")
	} else {
		e.add(OK, "at boot", last.Value, last.File, "")
	}
}

// sbin reports whose /sbin/modprobe is, which people, scripts and the initramfs use.
func (e *examination) sbin() {
	for _, p := range []string{"/sbin/modprobe", "/usr/sbin/modprobe"} {
		if who, err := e.sys.identify(p); err == nil {
			e.add(OK, p, who, "", "")
			return
		}
	}
	e.add(Bad, "/sbin/modprobe", "none that works", "programs and the initramfs call it", "install kmod")
}

const whoSafeload = "safeload"

// KernelHelper returns which program the kernel of this system starts for a request,
// and whether that is safeload. With CONFIG_STATIC_USERMODEHELPER the kernel may
// start another one.
func KernelHelper() (path string, ours bool) {
	s := system{root: "/"}
	path, err := s.line("/proc/sys/kernel/modprobe")
	if err != nil || path == "" {
		return "", false
	}
	who, err := s.identify(path)
	return path, err == nil && who == whoSafeload
}

// identify returns whose modprobe a file is. An error says that it cannot be
// started.
func (s system) identify(path string) (string, error) {
	file, err := s.resolve(path)
	if err != nil {
		return "", err
	}
	if err := s.startable(path); err != nil {
		return "", err
	}
	if info, err := buildinfo.ReadFile(file); err == nil {
		if strings.HasPrefix(info.Path, "safeload/cmd/") {
			return whoSafeload, nil
		}
		return "a Go program, " + info.Path, nil
	}
	switch base := filepath.Base(file); {
	case base == "kmod":
		return "kmod", nil
	case strings.HasPrefix(base, "busybox"):
		return "busybox", nil
	case strings.HasPrefix(base, "toybox"):
		return "toybox", nil
	default:
		return "unknown program " + strings.TrimPrefix(file, strings.TrimSuffix(s.root, "/")), nil
	}
}

// startable returns why the kernel could not start a program.
func (s system) startable(path string) error {
	by := program.System{Resolve: func(p string) string {
		if file, err := s.resolve(p); err == nil {
			return file
		}
		return s.path(p)
	}}
	if s.root == "/" {
		by.Machines, by.Mounted = program.Machines(), true
	}
	return by.Check(path)
}

// resolve follows all links of a path within the root.
func (s system) resolve(path string) (string, error) {
	at := "/"
	rest := strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, part)
		target, err := os.Readlink(s.path(next))
		if err != nil || links > 40 {
			at = next
			continue
		}
		links++
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	_, err := os.Lstat(s.path(at))
	return s.path(at), err
}
