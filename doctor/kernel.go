// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"strconv"
	"strings"

	"safeload/internal/kallsyms"
)

// version is a kernel's major and minor number.
type version struct{ major, minor int }

func parseVersion(release string) (v version, ok bool) {
	major, rest, _ := strings.Cut(release, ".")
	minor := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		minor = rest[:i]
	}
	var err1, err2 error
	v.major, err1 = strconv.Atoi(major)
	v.minor, err2 = strconv.Atoi(minor)
	return v, err1 == nil && err2 == nil
}

func (v version) before(major, minor int) bool {
	return v.major < major || v.major == major && v.minor < minor
}

// kernel reports how the kernel waits for a module that is being loaded already.
func (e *examination) kernel() {
	e.area = "kernel"
	if e.r.Kernel == "" {
		e.add(Unknown, "release", "unknown", "/proc/sys/kernel/osrelease: "+e.noProc(), "mount /proc")
		return
	}
	e.add(OK, "release", e.r.Kernel+" on "+e.r.Arch, "", "")
	if !e.sys.exists("/proc/modules") {
		e.add(Note, "module waits", "none", "the kernel has no loadable modules (CONFIG_MODULES)", "")
		e.whole = true
		return
	}
	v, ok := parseVersion(e.r.Kernel)
	seen, err := e.waitSymbols()
	byFile, basis := false, "by version"
	switch {
	case err == nil && seen.total > 0:
		byFile, basis = seen.initFromFile, "seen in /proc/kallsyms"
	case ok:
		byFile = !v.before(6, 5)
	default:
		e.add(Unknown, "module waits", "unknown", "the release has no version in front, /proc/kallsyms: "+whyNot(err), "")
		return
	}
	if !byFile {
		e.add(OK, "module waits", "by name", basis+": a second load waits in the kernel until the first is done; a signal ends it", "")
		return
	}
	value := "by file, then by name"
	switch wait, how := e.fileWait(v, ok); wait {
	case waitSoft:
		e.add(OK, "module waits", value, basis+"; a signal ends the wait ("+how+")", "")
	case waitHard:
		e.add(Warn, "module waits", value, basis+"; no signal ends the wait by file ("+how+"): what hangs there hangs until a reboot",
			"take a kernel with commit 2124d84db293 (6.11), or see that safeload is asked for every load")
	default:
		e.add(Unknown, "module waits", value, basis+"; whether a signal ends the wait by file cannot be told: "+how, "")
	}
}

type waitKind int

const (
	waitUnknown waitKind = iota
	waitSoft
	waitHard
)

// fileWait reports whether a signal ends the wait by file
// (idempotent_wait_for_completion): by what the kernel's code calls, or else by the
// version.
func (e *examination) fileWait(v version, ok bool) (waitKind, string) {
	kind, err := e.sys.waitCalled()
	if err == nil && kind == waitHard && ok && !v.before(6, 11) {
		return waitUnknown, "the version says yes, the kernel's code seems to say no"
	}
	if err == nil && kind != waitUnknown {
		return kind, "seen in the kernel's code"
	}
	if ok && !v.before(6, 11) {
		return waitSoft, "by version, 6.11 or later"
	}
	why := "6.5 to 6.10 differ by their stable release"
	if err != nil {
		why += "; the kernel's code: " + err.Error()
	}
	return waitUnknown, why
}

func (e *examination) noProc() string {
	if !e.sys.exists("/proc/self") {
		return "/proc is not mounted"
	}
	return "not there"
}

type waitSymbols struct {
	total        int
	initFromFile bool
}

// waitSymbols: init_module_from_file came with the wait by file (9b9879fc0327,
// 6.5) and is not inlined on any kernel seen, as idempotent_init_module is.
func (e *examination) waitSymbols() (s waitSymbols, err error) {
	functions, err := kallsyms.Of(e.sys.path(kallsyms.Path), waitNames...)
	if err != nil {
		return s, err
	}
	s.total = functions.Total
	for _, f := range functions.Found {
		if f.Base() == "init_module_from_file" || f.Base() == "idempotent_init_module" {
			s.initFromFile = true
		}
	}
	if s.total == 0 {
		return s, fmt.Errorf("it is empty (CONFIG_KALLSYMS)")
	}
	return s, nil
}
