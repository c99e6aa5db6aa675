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

// commands names the install and remove commands that call another modprobe
// than the one that the kernel asks. That one asks nobody: where its load waits
// for itself safeload sees it from outside, later.
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

// modprobes gives the paths of the modprobes that a command calls. A name
// without a path is looked for where the kernel has its helpers look.
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
