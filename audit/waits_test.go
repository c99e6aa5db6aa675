// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"safeload/docs/schema"
	"safeload/kmod"
)

func TestLockState(t *testing.T) {
	a, b := lock{name: "a"}, lock{at: value{kind: address, sec: 3, off: 8}}
	var one, two lockState
	one.acquire(a)
	one.acquire(b)
	two.acquire(b)
	two.release(lock{name: "c"})
	if m := one.meet(two); fmt.Sprint(m.held) != fmt.Sprint([]lock{b}) || len(m.freed) != 1 {
		t.Errorf("where they meet: %v", m)
	}
	if len(one.held) != 2 || len(two.held) != 1 {
		t.Errorf("they are no longer what they were: %v, %v", one, two)
	}
	if r := without(one.held, lock{}); fmt.Sprint(r) != fmt.Sprint([]lock{a}) {
		t.Errorf("one that is not known was released: %v", r)
	}
	// A wrapper that is given the lock.
	var args [maxArgs]value
	args[1] = b.at
	wrapper := lockState{held: []lock{{at: value{kind: argument, off: 1}}}}
	if s := (lockState{}).then(wrapper, &args); fmt.Sprint(s.held) != fmt.Sprint([]lock{b}) {
		t.Errorf("a wrapper acquired %v", s)
	}
	wrapper.held, wrapper.freed = nil, wrapper.held
	if s := one.then(wrapper, &args); fmt.Sprint(s.held) != fmt.Sprint([]lock{a}) {
		t.Errorf("a wrapper released all but %v", s)
	}
}

// Every table entry does what its name says, and nothing that is left out of the facts as common is in it to be found.
func TestLockTables(t *testing.T) {
	for name, op := range lockOps {
		if op.does == 0 || op.does == passes && len(passedBy(name, model{6, 12})) == 0 {
			t.Errorf("%s: %+v", name, op)
		}
		if requesters[name].kind != 0 {
			t.Errorf("%s requests, too", name)
		}
	}
	for _, p := range passing {
		if p.where == "" {
			t.Errorf("%s: nobody says where", p.functions)
		}
	}
}

// Kernels differ in what takes a lock, and a lock that readers share is shared by who passes, too.
func TestPassing(t *testing.T) {
	old, mid, young, unknown := model{4, 9}, model{6, 12}, model{6, 13}, model{}
	for _, c := range []struct {
		function string
		kernel   model
		want     string
	}{
		{"rtnl_link_register", mid, "[{rtnl_lock false}]"}, {"rtnl_link_register", young, "[]"}, {"rtnl_link_register", unknown, "[]"},
		{"register_netdevice_notifier", old, "[{rtnl_lock false}]"},
		{"register_netdevice_notifier", unknown, "[{rtnl_lock false} {pernet_ops_rwsem false}]"},
		{"__cpuhp_setup_state", mid, "[{cpus_read_lock true}]"}, {"rtnl_lock", mid, "[]"},
	} {
		if got := fmt.Sprint(passedBy(c.function, c.kernel)); got != c.want {
			t.Errorf("%s on %v: %s, want %s", c.function, c.kernel, got, c.want)
		}
	}
}

// asker is a module that requests a name while it holds something.
func asker(release, name string, h hold) *facts {
	e := event{symbol: "__request_module", route: []string{"ask"}, args: [maxArgs]arg{{kind: argNumber, n: 1}, {kind: argText, text: name}}}
	return &facts{name: "hub", release: release, compared: budget{left: maxWork}, asks: []ask{{[]hold{h}, e}}}
}

func needs(name string, depends []string, takes ...taking) *facts {
	return &facts{name: name, depends: depends, takes: takes, aliases: []string{"need"}, compared: budget{left: maxWork}}
}

func waitsOf(all ...*facts) []Finding { return findWaits(all, newResolver(all, &kmod.Config{})) }

// Readers share a lock: a load that wants to read as well waits for no reader alone.
func TestSharedWait(t *testing.T) {
	read := hold{"cpus_read_lock", true}
	found := waitsOf(asker("6.12.1", "need", read), needs("need", nil, taking{hold: read}))
	if len(found) != 1 || found[0].Rank != Possible {
		t.Error(found)
	}
	found = waitsOf(asker("6.12.1", "need", read), needs("need", nil, taking{hold: hold{"cpus_read_lock", false}}))
	if len(found) != 1 || found[0].Rank != Certain {
		t.Error(found)
	}
}

// Before 5.17 a load waits for async functions if it has used some: nobody looks at that.
func TestAsyncWait(t *testing.T) {
	for release, want := range map[string]Rank{"5.16.20": Possible, "5.17.0": Certain, "6.12.95+deb12-armmp": Certain, "": Certain} {
		found := waitsOf(asker(release, "need", hold{what: asyncFunctions}), needs("need", nil))
		if len(found) != 1 || found[0].Rank != want {
			t.Errorf("%q: %+v, want %v", release, found, want)
		}
	}
}

// Each module whose load waits is named once, the surest first, by whichever names it comes.
func TestOthersOnce(t *testing.T) {
	mine := hold{what: "rtnl_lock"}
	base := needs("base", nil, taking{hold: mine, how: viaProbe})
	base.aliases = nil
	found := waitsOf(asker("6.12.1", "need", mine), base, needs("one", []string{"base"}), needs("two", []string{"base"}, taking{hold: mine}), needs("three", []string{"base"}))
	if len(found) != 1 || found[0].Wait.Module != "two" || fmt.Sprint(found[0].Wait.Others) != "[base]" {
		t.Errorf("%+v", found)
		for _, f := range found {
			t.Errorf("%+v", f.Wait)
		}
	}
}

// TestWaitReports: each form says what waits, on what, and what frees it.
func TestWaitReports(t *testing.T) {
	hop := Hop{Module: "hub", Request: "need", Route: []string{"ask"}, Match: "need", Why: "its name", Loads: "need"}
	var found []Finding
	for _, kind := range []string{"lock", "queue", "async", "device"} {
		found = append(found, Finding{Module: "hub", File: "hub.ko", Hops: []Hop{hop},
			Wait: &Wait{Kind: kind, On: "hub:" + kind + markup, Module: "need", Route: []string{"need_init", "mutex_lock"}, Others: []string{"other" + markup}}})
	}
	r := &Result{Dir: "tree", Findings: found}
	none := func(string) bool { return false }
	out := map[string]*bytes.Buffer{}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":  func(b *bytes.Buffer) error { return WriteText(b, r, false) },
		"json":  func(b *bytes.Buffer) error { return WriteJSON(b, r, none) },
		"sarif": func(b *bytes.Buffer) error { return WriteSARIF(b, "1", []*Result{r}, none) },
		"html":  func(b *bytes.Buffer) error { return WriteHTML(b, "1", []*Result{r}, none) },
		"svg":   func(b *bytes.Buffer) error { return WriteSVG(b, []*Result{r}, false) },
	} {
		out[name] = &bytes.Buffer{}
		if err := write(out[name]); err != nil {
			t.Fatal(name, err)
		}
		if !strings.Contains(out[name].String(), "mutex_lock") {
			t.Errorf("%s does not say on which way:\n%s", name, out[name])
		}
		if (name == "html" || name == "svg") && strings.Contains(out[name].String(), "<img") {
			t.Errorf("%s: a name is markup", name)
		}
	}
	for _, name := range []string{"text", "sarif", "html"} {
		for i := range found {
			if strings.Count(out[name].String(), found[i].Wait.Remedy()) != 2 {
				t.Errorf("%s does not say what frees it:\n%s", name, out[name])
			}
		}
	}
	if types, err := schema.Check("audit", bytes.NewReader(out["json"].Bytes())); err != nil || len(types) != len(found)+1 {
		t.Error(types, err)
	}
	ids := map[string]bool{}
	for i := range found {
		ids[found[i].ID()] = true
	}
	alone := found[0]
	alone.Wait = nil
	ids[alone.ID()] = true
	if len(ids) != len(found)+1 {
		t.Errorf("%d findings have %d identities", len(found)+1, len(ids))
	}
}
