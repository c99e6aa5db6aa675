// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"safeload/docs/schema"
	"safeload/guard/graph"
	"safeload/guard/survey"

	"golang.org/x/sys/unix"
)

// tcryptHang is what kmod's hang on tcrypt looks like: 100 loads, 200 is the
// helper that waits for it; 300 only waits.
func tcryptHang() *survey.Survey {
	return &survey.Survey{
		Looked: 80, Took: 200 * time.Millisecond,
		Tasks: []survey.Seen{
			{PID: 100, TID: 100, PPID: 50, Comm: "modprobe", Command: "modprobe tcrypt alg=recurse", Role: survey.RoleLoad,
				State: 'D', Wchan: "call_usermodehelper_exec", Call: "finit_module", Module: "tcrypt", File: "/lib/modules/6.12/tcrypt.ko", Initstate: "coming", Asleep: 31 * time.Second},
			{PID: 200, TID: 200, PPID: 9, Comm: "modprobe", Command: "modprobe -q -- crypto-\"\x1b[2Jrecurse", Role: survey.RoleWait,
				State: 'S', Wchan: "sys_finit_module", Call: "finit_module", Module: "tcrypt", Initstate: "coming"},
			{PID: 300, TID: 300, PPID: 50, Comm: "modprobe", Command: "modprobe tcrypt", Role: survey.RoleWait, State: 'S', Module: "tcrypt", Initstate: "coming"},
		},
		Edges: []survey.Edge{
			{From: 100, To: []int{200}, Certainty: graph.Certain, Why: "waits in request_module for its helper"},
			{From: 200, To: []int{100}, Certainty: graph.Certain, Why: "waits in the kernel for the load of tcrypt"},
			{From: 300, To: []int{100}, Certainty: graph.Certain, Why: "waits in the kernel for the load of tcrypt"},
		},
		Findings: []graph.Finding{{Module: "tcrypt", Certainty: graph.Certain, Waiter: 200, Signal: true, Chain: []graph.Hop{
			{PID: 200, TID: 200, Comm: "modprobe", Module: "tcrypt", Why: "waits in the kernel for the load of tcrypt", Certainty: graph.Certain},
			{PID: 100, TID: 100, Comm: "modprobe", Module: "tcrypt", Why: "waits in request_module for its helper", Certainty: graph.Certain},
		}}},
	}
}

func noAdvice(graph.Finding, *survey.Seen) string { return "" }

func TestDiagnosis(t *testing.T) {
	var b bytes.Buffer
	Diagnosis(&b, tcryptHang(), func(f graph.Finding, waiter *survey.Seen) string {
		return fmt.Sprint("advice on ", f.Module, " of ", waiter.TID)
	})
	got := b.String()
	for _, want := range []string{
		"FOUND (certain): the load of tcrypt waits for itself",
		"kill -TERM 200",
		"pid 100 modprobe tcrypt alg=recurse",
		"sleeps in call_usermodehelper_exec for 31.0 s",
		"file /lib/modules/6.12/tcrypt.ko",
		"for good: advice on tcrypt of 200\n",
		"known case: it requests whatever",
		"see above", // the tree ends where the circle closes
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.ContainsRune(got, '\x1b') {
		t.Error("a name moves the terminal")
	}
	b.Reset()
	Diagnosis(&b, &survey.Survey{}, noAdvice)
	if !strings.Contains(b.String(), "No load waits for itself") {
		t.Errorf("healthy: %s", b.String())
	}
}

// TestDescent: the tree tells from whose command a load comes that no parent
// leads to any more.
func TestDescent(t *testing.T) {
	above, below := strings.Repeat("a", 32), strings.Repeat("b", 32)
	sv := &survey.Survey{Tasks: []survey.Seen{
		{PID: 150, TID: 150, Comm: "modprobe", Role: survey.RoleCommand, Token: above, Since: 3 * time.Second},
		{PID: 200, TID: 200, Comm: "modprobe", Role: survey.RoleWait, Module: "m", Initstate: "coming", Token: below, Parent: above, Depth: 1, Since: 2 * time.Second},
		{PID: 210, TID: 210, Comm: "modprobe", Role: survey.RoleLoad, Module: "n", Token: below, Parent: strings.Repeat("c", 32), Depth: 7},
	}}
	var b bytes.Buffer
	Tree(&b, sv)
	for _, want := range []string{
		"runs a command of the configuration, for 3.0 s now\n    token " + above + "\n",
		"waits for another's load of m (coming), for 2.0 s now\n    token " + below + ", depth 1, from a command of " + above + " (pid 150)\n",
		"depth 7, from a command of " + strings.Repeat("c", 32) + " (ended)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := JSON(&b, sv); err != nil || !strings.Contains(b.String(), `"parent_token":"`+above+`","depth":1`) || !strings.Contains(b.String(), `"since_s":2`) {
		t.Errorf("JSON: %v\n%s", err, b.String())
	}
}

func TestUninterruptible(t *testing.T) {
	sv := tcryptHang()
	sv.Findings[0].Signal = false
	var b bytes.Buffer
	Diagnosis(&b, sv, noAdvice)
	if strings.Contains(b.String(), "kill -TERM") || !strings.Contains(b.String(), "only a reboot") {
		t.Errorf("says\n%s", b.String())
	}
}

func TestSlowIsCalledSlow(t *testing.T) {
	sv := &survey.Survey{Tasks: []survey.Seen{{PID: 7, TID: 7, Comm: "modprobe", Role: survey.RoleLoad, Module: "fw", Initstate: "coming", Wchan: "msleep"}}}
	var b bytes.Buffer
	Diagnosis(&b, sv, noAdvice)
	if !strings.Contains(b.String(), "Slow, not stuck as far as can be seen: the init of fw") || !strings.Contains(b.String(), "it sleeps in msleep") {
		t.Errorf("says\n%s", b.String())
	}
}

func TestSurveyJSON(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, tcryptHang()); err != nil {
		t.Fatal(err)
	}
	types, err := schema.Check("survey", &b)
	if err != nil {
		t.Error(err)
	}
	kinds := map[string]int{}
	for _, kind := range types {
		kinds[kind]++
	}
	if kinds["task"] != 3 || kinds["wait"] != 3 || kinds["finding"] != 1 || kinds["summary"] != 1 {
		t.Errorf("%v", kinds)
	}
	b.Reset()
	want := `{"schema":1,"type":"summary","tasks_looked_at":7,"took_s":0.5,"findings":0,"not_seen":["not root"]}` + "\n"
	if err := JSON(&b, &survey.Survey{Looked: 7, Took: time.Second / 2, Faults: []string{"not root"}}); err != nil || b.String() != want {
		t.Errorf("nothing found: %v\n%s, want\n%s", err, b.String(), want)
	}
}

func TestDot(t *testing.T) {
	var b bytes.Buffer
	Dot(&b, tcryptHang())
	got := b.String()
	if strings.Count(got, "color=red];") != 2 || strings.Count(got, "color=black];") != 1 {
		t.Errorf("the circle is not the two red arrows:\n%s", got)
	}
	if !strings.Contains(got, `crypto-\"`) {
		t.Errorf("a quote in a name is not escaped:\n%s", got)
	}
	dot, err := exec.LookPath("dot")
	if err != nil {
		t.Log("no Graphviz here: that dot reads it is not checked")
		return
	}
	cmd := exec.Command(dot, "-Tsvg")
	cmd.Stdin = &b
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("<svg")) {
		t.Errorf("dot: %v: %.300s", err, out)
	}
}

// What came of freeing is one line each, whatever the names in it are.
func TestFreed(t *testing.T) {
	task := survey.Seen{Role: survey.RoleLoad, Module: "m", Initstate: "coming"}
	for _, tt := range []struct {
		r    survey.Freed
		want string
	}{
		{survey.Freed{Outcome: survey.LeftToSafeload}, "free: m left to safeload\n"},
		{survey.Freed{Outcome: survey.NotSeen, Err: unix.EACCES}, "free: cannot see pid 7: permission denied\n"},
		{survey.Freed{Outcome: survey.NotHeld, Err: unix.EMFILE}, "free: pid 7: too many open files\n"},
		{survey.Freed{Outcome: survey.NotLookedAgain, Err: unix.EMFILE}, "free: cannot survey again: too many open files\n"},
		{survey.Freed{Outcome: survey.EndedByItself}, "free: pid 7 has ended by itself\n"},
		{survey.Freed{Outcome: survey.WaitsNoLonger}, "free: pid 7 no longer waits for m\n"},
		{survey.Freed{Outcome: survey.WaitsNoLonger, Task: &task}, "free: pid 7 no longer waits for m: loads m (coming)\n"},
		{survey.Freed{Outcome: survey.NotOnCircle, Task: &task},
			"free: pid 7 still waits, but for itself no longer, and is left alone: loads m (coming)\n"},
		{survey.Freed{Outcome: survey.NotSignalled, Signal: unix.SIGTERM, Err: unix.EPERM}, "free: signal 15 to pid 7: operation not permitted\n"},
		{survey.Freed{Outcome: survey.Ended, Signal: unix.SIGKILL, Comm: "a\nb"},
			"free: ended pid 7 (a\\x0ab), which waited for m, by signal 9: that one load failed, the rest goes on\n"},
		{survey.Freed{Outcome: survey.StaysForReboot}, "free: pid 7 does not end on SIGKILL: this kernel's wait cannot be left, reboot\n"},
	} {
		tt.r.Finding = graph.Finding{Module: "m", Waiter: 7}
		var b bytes.Buffer
		Freed(&b, tt.r)
		if b.String() != tt.want {
			t.Errorf("%q, want %q", b.String(), tt.want)
		}
	}
}
