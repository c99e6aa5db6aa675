// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"safeload/internal/program/programtest"
)

const release = "6.12.107-test"

// leaf is an index file that holds one value under the empty key.
func leaf() string {
	b := binary.BigEndian.AppendUint32(nil, 0xB007F457)
	b = binary.BigEndian.AppendUint32(b, 2<<16|1)
	b = binary.BigEndian.AppendUint32(b, 12|0x40000000)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, 0)
	return string(append(b, "v\x00"...))
}

// healthy is a recorded system on which nothing is wrong but that safeload is
// not asked.
func healthy() map[string]string {
	tree := "lib/modules/" + release + "/"
	files := map[string]string{
		"proc/self/mounts": "proc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0\n" +
			"tracefs /sys/kernel/tracing tracefs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\ntmpfs /run tmpfs rw 0 0\n",
		"proc/sys/kernel/osrelease":                release + "\n",
		"proc/sys/kernel/modprobe":                 "/sbin/modprobe\n",
		"proc/sys/kernel/modules_disabled":         "0\n",
		"proc/sys/net/core/bpf_jit_enable":         "1\n",
		"proc/modules":                             "a 1 0 - Live 0x0\n",
		"proc/kallsyms":                            "0 T init_module_from_file\n0 T call_usermodehelper_exec\n0 t call_usermodehelper_exec_async\n0 t finished_loading.isra.0\n0 T wait_for_completion_interruptible\n",
		"proc/1/stack":                             "[<0>] x\n",
		"boot/config-" + release:                   "CONFIG_MODULES=y\nCONFIG_KPROBE_EVENTS=y\nCONFIG_BPF_SYSCALL=y\n",
		"usr/bin/kmod":                             "#!/bin/sh\n",
		"bin/sh":                                   programtest.ELF(elf.EM_X86_64, "", 0),
		tree + "modules.dep":                       "kernel/a.ko.xz:\n",
		tree + "kernel/a.ko.xz":                    "\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x10\x00\x00\x00\xa8\x70\x8e\x86",
		tree + "modules.dep.bin":                   leaf(),
		tree + "modules.alias.bin":                 leaf(),
		tree + "modules.symbols.bin":               leaf(),
		tree + "modules.builtin.bin":               leaf(),
		tree + "modules.builtin.alias.bin":         leaf(),
		"sys/module/compression":                   "xz\n",
		"sys/module/module/parameters/sig_enforce": "N\n",
		"sys/kernel/security/lockdown":             "[none] integrity confidentiality\n",
		"sys/kernel/btf/vmlinux":                   "",
		"sys/kernel/tracing/kprobe_events":         "",
	}
	for _, ev := range []string{"syscalls/sys_enter_finit_module", "syscalls/sys_exit_finit_module", "syscalls/sys_enter_init_module",
		"syscalls/sys_exit_init_module", "module/module_load", "module/module_request", "sched/sched_process_fork",
		"sched/sched_process_exec", "sched/sched_process_exit"} {
		files["sys/kernel/tracing/events/"+ev+"/format"] = "x"
	}
	return files
}

func examine(t *testing.T, files map[string]string) *Report {
	t.Helper()
	root := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(name, ".ko") && text != "new" {
			if err := os.Chtimes(p, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.MkdirAll(root+"/sbin", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(root + "/sbin/modprobe"); err != nil {
		if err := os.Symlink("/usr/bin/kmod", root+"/sbin/modprobe"); err != nil {
			t.Fatal(err)
		}
	}
	return Examine(Options{Root: root})
}

func (r *Report) find(name string) *Check {
	for i := range r.Checks {
		if r.Checks[i].Name == name {
			return &r.Checks[i]
		}
	}
	return nil
}

func TestHealthy(t *testing.T) {
	r := examine(t, healthy())
	for _, c := range r.Checks {
		if c.Level == Bad {
			t.Errorf("%+v", c)
		}
	}
	if r.Failed() || r.Asked || r.Tier != TierProc || r.Possible != TierProbe {
		t.Errorf("failed %v, asked %v, tier %s of %s", r.Failed(), r.Asked, r.Tier, r.Possible)
	}
	var b bytes.Buffer
	if err := r.Print(&b, false); err != nil || !strings.Contains(b.String(), "safeload install  (kernel.modprobe: /sbin/modprobe (kmod))") {
		t.Errorf("%v\n%s", err, b.String())
	}
	text, err := json.Marshal(r)
	if err != nil || !strings.HasPrefix(string(text), `{"schema":1,`) {
		t.Errorf("%v: %s", err, text)
	}
}

// Each change to the healthy system makes one finding.
func TestFindings(t *testing.T) {
	tree := "lib/modules/" + release + "/"
	for _, c := range []struct {
		name   string
		change map[string]string // "-" removes
		check  string
		level  Level
		value  string // part of Value or Why
	}{
		{"name wait", map[string]string{"proc/kallsyms": "0 T load_module\n"}, "module waits", OK, "by name"},
		{"file wait", nil, "module waits", OK, "by file"},
		{"cannot be told", map[string]string{"proc/sys/kernel/osrelease": "6.8.0\n"}, "module waits", Unknown, "6.5 to 6.10"},
		{"no modules", map[string]string{"proc/modules": "-", "proc/sys/kernel/modprobe": "-"}, "kernel.modprobe", Note, "not there"},
		{"nothing to guard", map[string]string{"proc/modules": "-", "proc/sys/kernel/modprobe": "-"}, "in force", Note, "nothing"},
		{"disabled", map[string]string{"proc/sys/kernel/modules_disabled": "1\n"}, "modules_disabled", Bad, "1"},
		{"no requests", map[string]string{"proc/sys/kernel/modprobe": "\n"}, "kernel.modprobe", Bad, "empty"},
		{"dangling", map[string]string{"proc/sys/kernel/modprobe": "/no/where\n"}, "kernel.modprobe", Bad, "not there"},
		{"static", map[string]string{"boot/config-" + release: "CONFIG_STATIC_USERMODEHELPER=y\nCONFIG_STATIC_USERMODEHELPER_PATH=\"/sbin/umh\"\n"}, "static helper", Warn, "/sbin/umh"},
		{"static, none", map[string]string{"boot/config-" + release: "CONFIG_STATIC_USERMODEHELPER=y\nCONFIG_STATIC_USERMODEHELPER_PATH=\"\"\n"}, "static helper", Bad, "no helper at all"},
		{"no configuration", map[string]string{"boot/config-" + release: "-"}, "static helper", Unknown, "/proc/config.gz"},
		{"boot sets none", map[string]string{"etc/sysctl.d/9.conf": "kernel.modprobe=/gone\n"}, "at boot", Bad, "/gone"},
		{"the helper is no program", map[string]string{"usr/bin/kmod": "kmod\n"}, "kernel.modprobe", Bad, "50 times for each request"},
		{"the helper is cut short", map[string]string{"usr/bin/kmod": programtest.ELF(elf.EM_X86_64, "", 3)}, "kernel.modprobe", Bad, "cut short"},
		{"the helper's interpreter is missing", map[string]string{"bin/sh": ""}, "kernel.modprobe", Bad, "interpreter /bin/sh cannot be started"},
		{"boot differs", map[string]string{"etc/sysctl.conf": "kernel.modprobe=/usr/bin/kmod\n"}, "at boot", Warn, "/etc/sysctl.conf"},
		{"no tree", map[string]string{"proc/sys/kernel/osrelease": "6.12.1-other\n"}, "tree", Bad, "is missing"},
		{"no index", map[string]string{tree + "modules.dep.bin": "-"}, "modules.dep.bin", Bad, "missing"},
		{"damaged index", map[string]string{tree + "modules.alias.bin": "garbage that is long"}, "modules.alias.bin", Bad, "damaged"},
		{"short index", map[string]string{tree + "modules.dep.bin": leaf()[:13]}, "modules.dep.bin", Bad, "holds nothing"},
		{"lesser index", map[string]string{tree + "modules.symbols.bin": "-"}, "modules.symbols.bin", Warn, "missing"},
		{"not indexed", map[string]string{tree + "updates/b.ko": "x"}, "not indexed", Bad, "updates/b.ko"},
		{"gone", map[string]string{tree + "kernel/a.ko.xz": "-"}, "indexed, gone", Bad, "kernel/a.ko.xz"},
		{"other compression", map[string]string{"sys/module/compression": "zstd\n"}, "compression", Note, "decompressed by safeload"},
		{"signed", map[string]string{"sys/module/module/parameters/sig_enforce": "Y\n"}, "signatures", Note, "required"},
		{"lockdown", map[string]string{"sys/kernel/security/lockdown": "none integrity [confidentiality]\n"}, "lockdown", Warn, "confidentiality"},
		{"no bpffs", map[string]string{"proc/self/mounts": "proc /proc proc rw 0 0\n"}, "bpffs", Warn, "not mounted"},
		{"inlined", map[string]string{"proc/kallsyms": "0 T init_module_from_file\n"}, "wait_name, kprobe", Warn, "missing"},
		{"distrusted", map[string]string{"etc/safeload.d/x.conf": "frob\n"}, "safeload.conf", Warn, "frob"},
		{"configured", map[string]string{"etc/safeload.d/x.conf": "policy off\n"}, "settings", OK, "policy off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := healthy()
			for name, text := range c.change {
				if text == "-" {
					delete(files, name)
				} else {
					files[name] = text
				}
			}
			if strings.HasPrefix(c.check, "safeload") || c.check == "settings" {
				if os.Geteuid() != 0 {
					t.Skip("configuration must belong to root: needs root")
				}
			}
			r := examine(t, files)
			got := r.find(c.check)
			if got == nil {
				t.Fatalf("no check %q in %+v", c.check, r.Checks)
			}
			if got.Level != c.level || !strings.Contains(got.Value+" "+got.Why, c.value) {
				t.Errorf("got %+v, want %s with %q", *got, c.level, c.value)
			}
		})
	}
}

func TestNewerModule(t *testing.T) {
	files := healthy()
	index := "lib/modules/" + release + "/modules.dep.bin"
	root := t.TempDir()
	e := &examination{sys: system{root: root}, r: &Report{Kernel: release}}
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(root, index), old, old); err != nil {
		t.Fatal(err)
	}
	e.modules()
	if c := e.r.find("index age"); c == nil || c.Level != Warn {
		t.Errorf("got %+v", e.r.Checks)
	}
}

func TestSafeloadIsKnown(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the helper: not with -short")
	}
	out := filepath.Join(t.TempDir(), "helper")
	if msg, err := exec.Command("go", "build", "-o", out, "safeload/cmd/safeload-modprobe").CombinedOutput(); err != nil {
		t.Fatalf("build the helper: %v\n%s", err, msg)
	}
	who, err := (system{root: "/"}).identify(out)
	if err != nil || who != whoSafeload {
		t.Errorf("the helper is taken for %q, %v", who, err)
	}
}

func TestCallTargets(t *testing.T) {
	word := func(w uint32) []byte { return binary.LittleEndian.AppendUint32(nil, w) }
	for _, c := range []struct {
		arch string
		code []byte
		want uint64
	}{
		{"amd64", []byte{0x90, 0xe8, 0xfa, 0xff, 0xff, 0xff}, 0x1000},      // call .-6 at 0x1001
		{"arm64", append(word(0xd503201f), word(0x97ffffff)...), 0x1000},   // nop; bl .-4
		{"arm", append(word(0xe1a00000), word(0xebfffffd)...), 0x1000},     // nop; bl .-4
		{"arm", append(word(0xe1a00000), word(0x1b000000)...), 0x1004 + 8}, // blne .+8
	} {
		got := callTargets(c.arch, 0x1000, c.code)
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s % x: got %x, want %x", c.arch, c.code, got, c.want)
		}
	}
}

func TestVersion(t *testing.T) {
	for in, want := range map[string]version{"6.12.107+deb13-armmp": {6, 12}, "5.10-rc1": {5, 10}, "7.2": {7, 2}} {
		if got, ok := parseVersion(in); !ok || got != want {
			t.Errorf("%s: got %v, %v", in, got, ok)
		}
	}
	if _, ok := parseVersion("custom"); ok {
		t.Error("a version out of nothing")
	}
}
