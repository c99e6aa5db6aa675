// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"strings"
)

// lockOp says what a function does with a lock.
type lockOp struct {
	does lockVerb
	// named is the lock of a function that is given none; number is true if its
	// first argument says which of several.
	named  string
	number bool
	// shared: others may hold it shared too.
	shared bool
}

type lockVerb uint8

const (
	acquires lockVerb = iota + 1
	releases
	// passes: it acquires what passedBy names, and releases it before it returns.
	passes
	// drains: it waits for what named says to end.
	drains
)

// lockOps are the functions that acquire and release. Those that may fail to
// acquire (trylock) are left out: a task that fails waits for nothing, and code that
// calls them mostly has another way.
var lockOps = map[string]lockOp{}

// namedLocks are the locks of the kernel proper that modules acquire and release by
// functions of their own.
var namedLocks = []struct {
	name      string
	acquire   string
	release   string
	number    bool
	shared    bool
	mentioned string // where
}{
	{"rtnl_lock", "rtnl_lock rtnl_lock_killable", "rtnl_unlock __rtnl_unlock", false, false, "net/core/rtnetlink.c"},
	{"nfnl_lock", "nfnl_lock", "nfnl_unlock", true, false, "net/netfilter/nfnetlink.c"},
	{"genl_lock", "genl_lock", "genl_unlock", false, false, "net/netlink/genetlink.c"},
	{"cpus_read_lock", "cpus_read_lock", "cpus_read_unlock", false, true, "kernel/cpu.c"},
	{"console_lock", "console_lock", "console_unlock", false, false, "kernel/printk/printk.c"},
	{"pci_lock_rescan_remove", "pci_lock_rescan_remove", "pci_unlock_rescan_remove", false, false, "drivers/pci/probe.c"},
}

// passing are the exported functions of the kernel proper that take a lock that
// a module can hold, each with the kernels that do and where that is. A lock's
// name is that of its function or of its exported variable. Those that undo
// something are left out: an init calls them where it fails.
var passing = []struct {
	functions, lock string
	since, before   model // zero: from the first, to the newest
	where           string
}{
	{functions: "register_netdev", lock: "rtnl_lock", where: "net/core/dev.c: rtnl_lock around register_netdevice"},
	{functions: "register_netdevice_notifier", lock: "rtnl_lock", where: "net/core/dev.c"},
	{functions: "register_netdevice_notifier", lock: "pernet_ops_rwsem", since: model{4, 17}, where: "net/core/dev.c: for writing"},
	{functions: "rtnl_link_register", lock: "rtnl_lock", before: model{6, 13}, where: "net/core/rtnetlink.c: then link_ops_mutex"},
	{functions: "rtnl_register_module __rtnl_register_many", lock: "rtnl_lock", where: "net/core/rtnetlink.c, rtnl_register_internal"},
	{functions: "rtnl_af_register", lock: "rtnl_lock", before: model{6, 13}, where: "net/core/rtnetlink.c"},
	{functions: "register_pernet_subsys register_pernet_device", lock: "pernet_ops_rwsem", since: model{4, 17}, where: "net/core/net_namespace.c: down_write"},
	{functions: "genl_register_family", lock: "genl_lock", where: "net/netlink/genetlink.c, genl_lock_all: cb_lock, then genl_mutex"},
	{functions: "__cpuhp_setup_state", lock: "cpus_read_lock", where: "kernel/cpu.c: around __cpuhp_setup_state_cpuslocked"},
	{functions: "register_framebuffer", lock: "console_lock", where: "drivers/video/fbdev/core/fbmem.c, do_register_framebuffer"},
}

// passedBy gives the locks that a function of the kernel proper takes and releases
// before it returns, on a kernel.
func passedBy(function string, kernel model) (locks []hold) {
	for _, p := range passing {
		if !slices.Contains(strings.Fields(p.functions), function) || !kernel.from(p.since) || p.before != (model{}) && kernel.from(p.before) {
			continue
		}
		h := hold{what: p.lock}
		for _, n := range namedLocks {
			h.shared = h.shared || n.name == p.lock && n.shared
		}
		locks = append(locks, h)
	}
	return locks
}

func init() {
	object := func(words string, op lockOp) {
		for _, w := range strings.Fields(words) {
			lockOps[w] = op
		}
	}
	object("mutex_lock mutex_lock_interruptible mutex_lock_killable mutex_lock_io mutex_lock_nested mutex_lock_interruptible_nested mutex_lock_killable_nested down_write down_write_killable down_write_nested",
		lockOp{does: acquires})
	object("down_read down_read_killable down_read_interruptible down_read_nested", lockOp{does: acquires, shared: true})
	// Who has downgraded holds it shared: others may come in beside him.
	object("mutex_unlock up_write up_read downgrade_write", lockOp{does: releases})
	for _, n := range namedLocks {
		object(n.acquire, lockOp{does: acquires, named: n.name, number: n.number, shared: n.shared})
		object(n.release, lockOp{does: releases, named: n.name, number: n.number})
	}
	for _, p := range passing {
		object(p.functions, lockOp{does: passes})
	}
	object("flush_workqueue __flush_workqueue drain_workqueue destroy_workqueue", lockOp{does: drains, named: "queue "})
	object("flush_work cancel_work_sync flush_delayed_work cancel_delayed_work_sync", lockOp{does: drains, named: "work "})
}

// lock is one that code holds: a variable's, or one of a name.
type lock struct {
	at     value // an address, or an argument of the function
	name   string
	shared bool
}

// same reports whether two are one lock, however it is held.
func (l lock) same(o lock) bool { return l.at == o.at && l.name == o.name }

// lockState is what is known of locks at one place of a function. held are those
// that it has acquired on every way there. freed are those that it has released on
// any of them, which may be its caller's.
type lockState struct{ held, freed []lock }

func (s lockState) empty() bool { return len(s.held)+len(s.freed) == 0 }

// cost of making it anew, in steps.
func (s lockState) cost() int { return 8 * (len(s.held) + len(s.freed)) }

// acquire and release leave the slices that others share alone.
func (s *lockState) acquire(l lock) {
	if !slices.ContainsFunc(s.held, l.same) && len(s.held) < 8 {
		s.held = append(s.held[:len(s.held):len(s.held)], l)
	}
}

func (s *lockState) release(l lock) {
	s.held = without(s.held, l)
	if !slices.ContainsFunc(s.freed, l.same) && len(s.freed) < 8 {
		s.freed = append(s.freed[:len(s.freed):len(s.freed)], l)
	}
}

// without takes a lock away, and with one that is not known each that it can be.
func without(held []lock, l lock) []lock {
	var out []lock
	for _, h := range held {
		if !h.same(l) && (l.name != "" || h.name != "" || l.at.kind != unknown) {
			out = append(out, h)
		}
	}
	return out
}

// meet is what holds where two ways meet.
func (s lockState) meet(o lockState) lockState {
	if s.empty() && o.empty() {
		return lockState{}
	}
	var m lockState
	for _, l := range s.held {
		if slices.ContainsFunc(o.held, l.same) {
			m.held = append(m.held, l)
		}
	}
	m.freed = slices.Clone(s.freed)
	for _, l := range o.freed {
		if !slices.ContainsFunc(m.freed, l.same) {
			m.freed = append(m.freed, l)
		}
	}
	return m
}

// then is the state after a call that is made in state s. o is what the called
// function does, in terms of its arguments, and args are those that it is given.
func (s lockState) then(o lockState, args *[maxArgs]value) lockState {
	if o.empty() {
		return s
	}
	for _, l := range o.freed {
		l.at = substitute(l.at, args)
		s.release(l)
	}
	for _, l := range o.held {
		if l.at = substitute(l.at, args); l.name != "" || traced(l.at) {
			s.acquire(l)
		}
	}
	return s
}

// traced reports whether a lock at v can be told from others: it is a variable,
// or the caller may know.
func traced(v value) bool { return v.kind == address || v.kind == gotten || v.kind == argument }

// lockOf is the lock that a call acquires or releases.
func lockOf(op lockOp, first value) lock {
	l := lock{name: op.named, shared: op.shared}
	switch {
	case op.named == "":
		l.at = first
	case op.number && (first.kind == constant || first.kind == given):
		l.name = fmt.Sprintf("%s(%d)", op.named, first.off)
	}
	return l
}

// lockImports gives each imported symbol that acquires or releases its
// operation.
func (im *image) lockImports() {
	for i := range im.syms {
		s := &im.syms[i]
		if s.sec != 0 || s.name == "" {
			continue
		}
		if op, ok := lockOps[s.name]; ok {
			if im.lockOps == nil {
				im.lockOps = map[int32]lockOp{}
			}
			im.lockOps[int32(i)] = op
		}
	}
}

// wrappers are the module's functions that only acquire or only release, by calls
// of each other as well: what they do lasts longer than they.
func (im *image) wrappers() map[int]bool {
	if im.wraps != nil {
		return im.wraps
	}
	verbs := map[int]lockVerb{}
	var todo []int
	for i := range im.secs {
		s := &im.secs[i]
		if !s.code() {
			continue
		}
		for _, r := range s.relocs {
			op, ok := im.lockOps[r.sym]
			if !ok || op.does >= passes {
				continue
			}
			if f, ok := im.function(place{sec: int32(i), off: int64(r.off)}); ok {
				if verbs[f] == 0 {
					todo = append(todo, f)
				}
				verbs[f] |= op.does
			}
		}
	}
	im.wraps = map[int]bool{}
	for len(todo) > 0 { // each function comes twice at most: it is given one verb, then the other
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if verbs[f] == acquires|releases {
			continue
		}
		callers := im.callers()[f]
		im.spend(1 + len(callers))
		for _, c := range callers {
			if both := verbs[c] | verbs[f]; both != verbs[c] {
				verbs[c] = both
				todo = append(todo, c)
			}
		}
	}
	for f, v := range verbs {
		if v != acquires|releases {
			im.wraps[f] = true
		}
	}
	return im.wraps
}

// lasting is what a function has acquired and released when it returns.
func (im *image) lasting(sym int) lockState {
	if len(im.lockOps) == 0 || !im.wrappers()[sym] {
		return lockState{}
	}
	if s, ok := im.lasts[sym]; ok {
		return s
	}
	if im.lasts == nil {
		im.lasts = map[int]lockState{}
	}
	im.lasts[sym] = lockState{} // a ring of calls ends here
	s := im.analyse(sym, [maxArgs]value{}).lasts
	im.lasts[sym] = s
	return s
}

// lockCall notes what a call does to the locks that are held. One that may be
// passed over acquires nothing for sure.
func (f *flow) lockCall(c *call, maybe bool) {
	if len(f.im.lockOps) == 0 {
		return
	}
	if c.target.sec != 0 {
		if sym, ok := f.im.function(c.target); ok && int64(f.im.syms[sym].value) == c.target.off {
			done := f.im.lasting(sym)
			if maybe {
				done.held = nil
			}
			f.locks = f.locks.then(done, &c.args)
			f.im.spend(f.locks.cost())
		}
		return
	}
	op, ok := f.im.lockOps[c.target.sym]
	if !ok {
		return
	}
	switch l := lockOf(op, c.args[0]); {
	case op.does == releases:
		f.locks.release(l)
	case op.does == acquires && !maybe && (l.name != "" || traced(l.at)):
		f.locks.acquire(l)
	}
	f.im.spend(f.locks.cost())
}

// meetLocks is [lockState.meet], within the budget.
func (f *flow) meetLocks(a, b lockState) lockState {
	f.im.spend(a.cost() + b.cost())
	return a.meet(b)
}

// setLocks notes what is held where a way goes on that waits to be gone.
func (f *flow) setLocks(target int64, s lockState) {
	if s.empty() {
		delete(f.lockeds, target)
		return
	}
	if f.lockeds == nil {
		f.lockeds = map[int64]lockState{}
	}
	f.lockeds[target] = s
}

// leave notes what is held where the function returns.
func (f *flow) leave() {
	if f.left {
		f.fn.lasts = f.meetLocks(f.fn.lasts, f.locks)
	} else {
		f.fn.lasts, f.left = f.locks, true
	}
}

// held tells locks apart, for a key.
func held(l []lock) string {
	if len(l) == 0 {
		return ""
	}
	return fmt.Sprint(l)
}

// offset is how far into a variable.
func offset(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("+%#x", n)
}
