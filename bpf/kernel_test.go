// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"safeload/internal/kallsyms"
)

func TestFindSymbols(t *testing.T) {
	text := "00000000 T finished_loading\n" +
		"00000000 t init_module_from_file.isra.0\n" +
		"00000000 t load_module.cold\n" +
		"00000000 d wait_for_completion\n" + // data of that name
		"00000000 t call_usermodehelper_exec.constprop.0\n" +
		"00000000 T call_usermodehelper_exec\n" +
		"garbage\n" +
		"00000000 t do_init_module\t[other]\n"
	wanted := []string{"finished_loading", "init_module_from_file",
		"load_module", "wait_for_completion", "do_init_module", "call_usermodehelper_exec", "absent"}
	got := findSymbols(read(t, text, wanted...), wanted)
	want := map[string]string{
		"finished_loading":         "finished_loading",
		"init_module_from_file":    "init_module_from_file.isra.0",
		"call_usermodehelper_exec": "call_usermodehelper_exec",
	}
	if !maps.Equal(got, want) {
		t.Errorf("findSymbols = %v\nwant %v", got, want)
	}
}

func read(t *testing.T, text string, names ...string) *kallsyms.Functions {
	t.Helper()
	functions, err := kallsyms.Read(strings.NewReader(text), names...)
	if err != nil {
		t.Fatal(err)
	}
	return functions
}

func TestFieldOffsets(t *testing.T) {
	// As armmp 6.12 has it.
	got := fieldOffsets(`name: sched_process_fork
ID: 242
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:char parent_comm[16];	offset:8;	size:16;	signed:0;
	field:pid_t parent_pid;	offset:24;	size:4;	signed:1;
	field:__data_loc char[] name;	offset:28;	size:4;	signed:0;

print fmt: "comm=%s", REC->parent_comm
`)
	want := map[string]uint32{"common_type": 0, "common_pid": 4, "parent_comm": 8, "parent_pid": 24, "name": 28}
	if !maps.Equal(got, want) {
		t.Errorf("fieldOffsets = %v, want %v", got, want)
	}
}

func TestFindInode(t *testing.T) {
	var s selfcheck
	// A list head that points at itself must not be taken for the pair.
	s.File[2], s.First[2] = 0xc1000000, 0xc1000000
	s.File[5], s.First[5] = 0xc2000000, 0x41ed // f_inode: begins with its mode
	s.File[9], s.First[9] = 0xc2000090, 0xc2000000
	if off, inode := findInode(&s); off != 5*wordSize || inode != 0xc2000000 {
		t.Errorf("findInode = %d, %#x", off, inode)
	}
	if off, _ := findInode(&selfcheck{}); off != 0 {
		t.Errorf("found f_inode at %d in nothing", off)
	}
}

func TestLearnCookie(t *testing.T) {
	var s selfcheck
	s.Seen, s.Soft = 1, 1
	s.File[5] = 0xc2000000
	s.File[9], s.First[9] = 0xc2000090, 0xc2000000
	s.Back[3] = 0xc2000000
	p := &Probe{}
	if why := p.learn(s, false); why != "" {
		t.Error(why)
	}
	if want := (Learned{InodeOff: 5 * wordSize, CookieBack: 4, CookieSeen: true}); p.learned != want {
		t.Errorf("learned %+v, want %+v", p.learned, want)
	}
	s.Back[3] = 0
	p = &Probe{}
	if why := p.learn(s, false); p.learned.InodeOff != 0 || why == "" {
		t.Errorf("a cookie that is not there: learned %+v, why %q", p.learned, why)
	}
	if why := p.learn(selfcheck{}, false); p.learned.InodeOff != 0 || why == "" {
		t.Errorf("nothing was seen: learned %+v, why %q", p.learned, why)
	}
}

// The kernel's version decides only where no wait was seen.
func TestLearnHard(t *testing.T) {
	for _, c := range []struct {
		soft, hard    uint32
		version, want bool
	}{
		{0, 0, false, false},
		{0, 0, true, true},
		{1, 0, true, false},
		{0, 1, false, true},
		{1, 1, true, false},
	} {
		p := &Probe{}
		p.learn(selfcheck{Soft: c.soft, Hard: c.hard}, c.version)
		if p.learned.Hard != c.want {
			t.Errorf("%d soft waits, %d hard ones, the version says %t: learned %t", c.soft, c.hard, c.version, p.learned.Hard)
		}
	}
}

// No kernel of the rig is one: what its symbols look like is from an own build.
func TestThumbKernel(t *testing.T) {
	thumb := "00000000 T kernel_read_file\n00000000 T thumb32_probes_decode_insn\n00000000 T finished_loading\n"
	symbols := findSymbols(read(t, thumb, allSymbols()...), allSymbols())
	var u *Unavailable
	if !errors.As(kprobesSafe(symbols), &u) {
		t.Errorf("a Thumb-2 kernel: %v", symbols)
	}
	for _, h := range survey(read(t, thumb, allSymbols()...), t.TempDir()) {
		if h.Missing == "" {
			t.Errorf("%s at %s: nothing is missing on a Thumb-2 kernel", h.Program, h.At)
		}
	}
	delete(symbols, thumbDecoder)
	if err := kprobesSafe(symbols); err != nil {
		t.Error(err)
	}
}

// As 6.12 said in a lockdown for confidentiality, and as it says of a bug.
func TestKernelReadable(t *testing.T) {
	for text, want := range map[string]bool{
		"program of this type cannot use helper bpf_probe_read#4": false,
		"unknown func bpf_probe_read_kernel#113":                  false,
		"R1 type=scalar expected=fp":                              true,
		"unknown func bpf_loop#181":                               true,
	} {
		err := refused(&ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"0: (bf) r6 = r1", text}})
		var u *Unavailable
		if errors.As(err, &u) == want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestHooksHavePrograms(t *testing.T) {
	spec, err := loadProbe()
	if err != nil {
		t.Fatal(err)
	}
	hooked := make(map[string]bool)
	for _, h := range slices.Concat(openHooks, hooks) {
		hooked[h.prog] = true
		if spec.Programs[h.prog] == nil {
			t.Errorf("no program %s", h.prog)
		}
		for v := range merged(h.offsets, h.flags) {
			if spec.Variables[v] == nil {
				t.Errorf("no variable %s", v)
			}
		}
		if h.need == optional && h.without == "" {
			t.Errorf("%s: nothing says what is lost without it", h.prog)
		}
	}
	for name := range spec.Programs {
		if !hooked[name] {
			t.Errorf("program %s is never attached", name)
		}
	}
}

func merged(maps ...map[string]string) map[string]string {
	all := make(map[string]string)
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func TestFlagValues(t *testing.T) {
	got := flagValues(`print fmt: "%p (flags=%s)", REC->lock_addr, (REC->flags) ? __print_flags(REC->flags, "|",` +
		` { (1U << 0), "SPIN" }, { 0x2, "READ" }, { 4, "WRITE" }, { (1UL << 40), "FAR" }, { (1U << 5), "MUTEX" }, { LCB_F_RT, "RT" }) : ""`)
	if want := (map[string]uint32{"SPIN": 1, "READ": 2, "WRITE": 4, "MUTEX": 32}); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
