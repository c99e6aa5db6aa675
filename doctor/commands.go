// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"safeload/kmod"
)

// commands reports the install and remove commands that call another modprobe than
// the one that the kernel starts. That one has no guard: safeload sees later, from
// outside, that its load waits for itself.
func (e *examination) commands() {
	e.area = "configuration"
	helper, err := e.sys.line("/proc/sys/kernel/modprobe")
	if err != nil || !e.r.Asked {
		return
	}
	o := kmod.Options{Dir: e.sys.path("/lib/modules/" + e.r.Kernel), Cmdline: os.DevNull}
	for _, d := range kmod.ConfigDirs {
		o.ConfigPaths = append(o.ConfigPaths, e.sys.path(d))
	}
	c := kmod.New(o).Config
	callers := map[string][]string{} // by the modprobe that they call
	for kind, list := range map[string][]kmod.Directive{"install": c.Install, "remove": c.Remove} {
		for _, d := range list {
			for _, p := range e.sys.modprobes(d.Value) {
				if line := kind + " " + d.Name; !slices.Contains(callers[p], line) {
					callers[p] = append(callers[p], line)
				}
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(callers)) {
		who, err := e.sys.identify(p)
		if err != nil || who == whoSafeload {
			continue
		}
		slices.Sort(callers[p])
		e.add(Warn, "commands", fmt.Sprintf("%s (%s), called by: %s", p, who, some(callers[p])),
			"that is not safeload: what it waits for is seen from outside, and later", helper+" in place of "+p)
	}
}

// modprobes returns the paths of the modprobes that a command calls. It looks for a
// name without a path in the PATH that the kernel gives its helpers.
func (s system) modprobes(command string) (paths []string) {
	words := strings.FieldsFunc(command, func(r rune) bool { return strings.ContainsRune(" \t'\"`;&|(){}\n", r) })
	for _, w := range words {
		switch {
		case path.Base(w) != "modprobe":
		case path.IsAbs(w):
			paths = append(paths, path.Clean(w))
		case w == "modprobe":
			for _, dir := range []string{"/sbin", "/usr/sbin", "/bin", "/usr/bin"} { // kernel/module/kmod.c
				if s.exists(dir + "/modprobe") {
					paths = append(paths, dir+"/modprobe")
					break
				}
			}
		}
	}
	return paths
}
