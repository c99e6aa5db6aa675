// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"safeload/internal/clock"
	"safeload/internal/conf"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// above writes an entry of a process that runs a command, as that process would.
func above(t *testing.T, g *Guard, pid int, e registry.Entry) {
	t.Helper()
	p, err := proc.OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s, err := p.ProcessStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	e.PID, e.Start, e.State, e.Since = pid, s.Start, registry.StateCommand, clock.Boot()
	r := registry.New(g.o.Dir)
	if err := r.Publish(e); err != nil {
		t.Fatal(err)
	}
	r.Close()
}

func sleeper(t *testing.T) int {
	t.Helper()
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c.Process.Pid
}

func ran(g *Guard, c Command) (bool, error) {
	did := false
	err := g.Command(c, nil, func([]string, func() int) error { did = true; return nil })
	return did, err
}

// TestLeadsBack: the same command of the same module, above us, and both of
// nothing but modprobe, is the one thing that is refused at once.
func TestLeadsBack(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	own := Command{Kind: "install", Module: "m", Plain: true}
	same := registry.Entry{Module: "m", Command: "install", Plain: true, Token: registry.NewToken()}
	for name, tt := range map[string]struct {
		above  registry.Entry
		own    Command
		policy conf.Policy
		exempt string
		refuse bool
	}{
		"the same":                    {above: same, own: own, refuse: true},
		"of another module":           {above: registry.Entry{Module: "n", Command: "install", Plain: true, Token: registry.NewToken()}, own: own},
		"a remove command":            {above: registry.Entry{Module: "m", Command: "remove", Plain: true, Token: registry.NewToken()}, own: own},
		"that one looks at a file":    {above: registry.Entry{Module: "m", Command: "install", Token: registry.NewToken()}, own: own},
		"this one looks at a file":    {above: same, own: Command{Kind: "install", Module: "m"}},
		"policy proven":               {above: same, own: own, policy: conf.Proven, refuse: true},
		"policy observe":              {above: same, own: own, policy: conf.Observe},
		"policy off":                  {above: same, own: own, policy: conf.Off},
		"the module is not looked at": {above: same, own: own, exempt: "m"},
	} {
		t.Run(name, func(t *testing.T) {
			g, lines := newGuard(t)
			g.settings = func(conf.WarnFunc) conf.Settings {
				s := conf.Default()
				s.Policy = tt.policy
				if tt.exempt != "" {
					s.Exempt = []string{tt.exempt}
				}
				return s
			}
			above(t, g, os.Getppid(), tt.above)
			did, err := ran(g, tt.own)
			var r *Refused
			if errors.As(err, &r) != tt.refuse || did == tt.refuse {
				t.Errorf("ran %v, %v", did, err)
			}
			if want := tt.refuse || tt.policy == conf.Observe; (len(*lines) > 0) != want {
				t.Errorf("said %q", *lines)
			}
		})
	}
}

// TestNested: a command that may come out differently the next time is refused
// at the ninth, and from then on in all that began with the same one.
func TestNested(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	c := Command{Kind: "install", Module: "m"}
	g, _ := newGuard(t)
	tokens := []string{""}
	for n := range nestedMost {
		token := registry.NewToken()
		above(t, g, sleeper(t), registry.Entry{Module: "m", Command: "install", Token: token, Parent: tokens[n]})
		tokens = append(tokens, token)
		t.Setenv(registry.TokenVariable, registry.Carry(token, n+1))
		did, err := ran(g, c)
		if last := n == nestedMost-1; did == last || (err != nil) != last {
			t.Fatalf("%d above: ran %v, %v", n+1, did, err)
		}
	}
	t.Setenv(registry.TokenVariable, registry.Carry(tokens[1], 1))
	if did, err := ran(g, c); did || err == nil {
		t.Errorf("again below the first of these: ran %v, %v", did, err)
	}
	// Another began since: nothing is known of it.
	other := registry.NewToken()
	above(t, g, sleeper(t), registry.Entry{Module: "m", Command: "install", Token: other})
	t.Setenv(registry.TokenVariable, registry.Carry(other, 1))
	if did, err := ran(g, c); !did || err != nil {
		t.Errorf("below another: ran %v, %v", did, err)
	}
}

// TestEarlierCommand: what one command has left behind is not below the next
// one of the same invocation.
func TestEarlierCommand(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	g, _ := newGuard(t)
	var first, second string
	take := func(to *string) func([]string, func() int) error {
		return func([]string, func() int) error { *to = g.token; return nil }
	}
	_ = g.Command(Command{Kind: "install", Module: "a"}, nil, take(&first))
	_ = g.Command(Command{Kind: "install", Module: "b"}, nil, take(&second))
	if first == "" || first == second {
		t.Errorf("tokens %q and %q", first, second)
	}
}
