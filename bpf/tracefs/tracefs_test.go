// SPDX-License-Identifier: Apache-2.0

package tracefs

import (
	"strings"
	"testing"
	"time"

	"safeload/bpf/live"
	"safeload/guard/graph"
)

func TestParseLine(t *testing.T) {
	for _, c := range []struct {
		in   string
		want line
		ok   bool
	}{
		{"        modprobe-257     [000] d..2.    42.075800: child: (call_usermodehelper_exec_async+0x0/0x1c4) sub=0xc1234567",
			line{"modprobe", 257, 42*time.Second + 75800*time.Microsecond, "child", "(call_usermodehelper_exec_async+0x0/0x1c4) sub=0xc1234567"}, true},
		{"        modprobe-257     [000] .....     1.000001: sys_finit_module(fd: 3, uargs: 4c1b0, flags: 0)",
			line{"modprobe", 257, time.Second + time.Microsecond, "sys_finit_module", "(fd: 3, uargs: 4c1b0, flags: 0)"}, true},
		{"        modprobe-257     [000] .....     1.000001: sys_finit_module -> 0xfffffffc",
			line{"modprobe", 257, time.Second + time.Microsecond, "sys_finit_module", "-> 0xfffffffc"}, true},
		{" a-1 [000] 1.0: -12345   [001] .N...    42.075800: module_load: slreq_00 OE",
			line{"a-1 [000] 1.0: ", 12345, 42*time.Second + 75800*time.Microsecond, "module_load", "slreq_00 OE"}, true},
		// A comm of "x\nroot" makes two lines of these.
		{"               x", line{}, false},
		{"root-257     [000] .....     1.000001: module_load: evil OE", line{}, false},
		{"CPU:0 [LOST 12 EVENTS]", line{}, false},
		{"", line{}, false},
	} {
		got, ok := parseLine(c.in)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("parseLine(%q)\n = %+v, %v\nwant %+v, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}

// play reads a trace and returns the findings.
func play(t *testing.T, trace string) []live.Finding {
	t.Helper()
	s := state{tgid: func(tid uint32) uint32 { return tid }}
	var tr live.Tracker
	var found []live.Finding
	for text := range strings.Lines(trace) {
		l, ok := parseLine(strings.TrimSuffix(text, "\n"))
		if !ok {
			t.Fatalf("no line: %q", text)
		}
		for _, e := range s.apply(l) {
			r := tr.Apply(e)
			found = append(found, r.Findings...)
		}
	}
	return found
}

const recursion = `        modprobe-100     [000] .....     1.000001: sys_finit_module(fd: 3, uargs: 4c1b0, flags: 0)
        modprobe-100     [000] .....     1.000002: file: (init_module_from_file+0x0/0x1) w0=0x1 w1=0xc2000000 w2=0x0
        modprobe-100     [000] .....     1.000003: module_load: tcrypt E
        modprobe-100     [000] .....     1.000004: request: (call_usermodehelper_exec+0x0/0x1) sub=0xc1 wait=0x6
     kworker/u:1-7       [000] .....     1.000005: sched_process_fork: comm=kworker/u:1 pid=7 child_comm=kworker/u:1 child_pid=101
     kworker/u:1-101     [000] .....     1.000006: child: (call_usermodehelper_exec_async+0x0/0x1) sub=0xc1
        modprobe-101     [000] .....     1.000007: sched_process_fork: comm=child_pid=5 pid=101 child_comm=child_pid=5 child_pid=102
        modprobe-102     [000] .....     1.000008: `

func TestRecursion(t *testing.T) {
	for name, rest := range map[string]string{
		"by name": "sys_init_module(umod: 1, len: 2, uargs: 3)\n" +
			"        modprobe-102     [000] .....     1.000009: name: (finished_loading+0x0/0x1) name=\"tcrypt\"\n",
		"by file": "sys_finit_module(fd: 0xa, uargs: 3, flags: 0)\n" +
			"        modprobe-102     [000] .....     1.000009: soft: (wait_for_completion_interruptible+0x0/0x1) cookie=0xc2000000\n",
	} {
		found := play(t, recursion+rest)
		if len(found) != 1 || found[0].Certainty != graph.Certain || found[0].TID != 102 || found[0].Module != "tcrypt" {
			t.Errorf("%s: found %+v", name, found)
		}
	}
	innocent := map[string]string{
		"another file": "sys_finit_module(fd: 3, uargs: 3, flags: 0)\n" +
			"        modprobe-102     [000] .....     1.000009: soft: (wait_for_completion_interruptible+0x0/0x1) cookie=0xc3000000\n",
		"its own init's wait": "sys_finit_module(fd: 3, uargs: 3, flags: 0)\n" +
			"        modprobe-102     [000] .....     1.000009: file: (init_module_from_file+0x0/0x1) w0=0x1 w1=0xc4000000\n" +
			"        modprobe-102     [000] .....     1.000009: soft: (wait_for_completion_interruptible+0x0/0x1) cookie=0xc2000000\n",
		"of a task outside": "sys_exit: x\n" +
			"             cat-900     [000] .....     1.000009: sys_finit_module(fd: 3, uargs: 3, flags: 0)\n" +
			"             cat-900     [000] .....     1.000010: soft: (wait_for_completion_interruptible+0x0/0x1) cookie=0xc2000000\n",
	}
	for name, rest := range innocent {
		if found := play(t, recursion+rest); len(found) != 0 {
			t.Errorf("%s: found %+v", name, found)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	for text := range strings.Lines(recursion) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if l, ok := parseLine(s); ok {
			st := state{tgid: func(tid uint32) uint32 { return tid }}
			st.apply(l)
			if len(l.comm) > 16 {
				t.Errorf("comm %q", l.comm)
			}
		}
	})
}
