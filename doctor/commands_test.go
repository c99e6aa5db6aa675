// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModprobes(t *testing.T) {
	root := t.TempDir()
	s := system{root: root}
	for _, d := range []string{"/usr/sbin", "/bin"} {
		if err := os.MkdirAll(root+d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+d+"/modprobe", nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for command, want := range map[string][]string{
		"/bin/true": nil, "modprobe -i m": {"/usr/sbin/modprobe"}, "/sbin/modprobe -i m && modprobe n": {"/sbin/modprobe", "/usr/sbin/modprobe"},
		"sh -c '/opt/kmod/modprobe -q m; true'": {"/opt/kmod/modprobe"}, "echo /x/modprobe.d": nil, "./modprobe m": nil,
	} {
		if diff := cmp.Diff(want, s.modprobes(command)); diff != "" {
			t.Errorf("%s: %s", command, diff)
		}
	}
}

// Lines count where safeload is asked, and the modprobe is another one.
func TestCommands(t *testing.T) {
	files := healthy()
	files["etc/modprobe.d/a.conf"] = "install a /opt/modprobe -i a\nremove a /opt/modprobe -r -i a\ninstall b /bin/true\ninstall c /opt/gone/modprobe c\n"
	files["opt/modprobe"] = "#!/bin/sh\n"
	if c := examine(t, files).find("commands"); c != nil {
		t.Errorf("kmod is asked: %+v", c)
	}
	e := &examination{r: &Report{Kernel: release, Asked: true}, sys: system{root: t.TempDir()}}
	for name, text := range files {
		p := e.sys.path(name)
		if err := os.MkdirAll(p[:strings.LastIndex(p, "/")], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	e.commands()
	if len(e.r.Checks) != 1 || e.r.Checks[0].Fix != "/sbin/modprobe in place of /opt/modprobe" || !strings.Contains(e.r.Checks[0].Value, "install a, remove a") {
		t.Errorf("%+v", e.r.Checks)
	}
}
