// SPDX-License-Identifier: Apache-2.0

// Package modprobe loads and removes kernel modules from a Go program as
// modprobe(8) does: names and aliases by modules.dep and its companions, with the
// configuration of modprobe.d(5), soft dependencies, blacklists, install and
// remove commands, and the guard, which refuses a load that would wait for
// itself (package guard).
//
// Nothing here prints, exits or changes the program's signals. [Loader.Load] and
// [Loader.Unload] need CAP_SYS_MODULE in the first user namespace; the rest needs
// none. It works on arm, arm64 and amd64, on Linux 3.8 and later; what the guard
// needs beyond that it does without where there is none.
//
// An init function that makes the kernel oops kills the thread that runs it; the
// program then ends by SIGSEGV, as modprobe does, because a Go program cannot
// live on without one of its threads.
package modprobe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/finit/unpack"
	"safeload/guard"
	"safeload/internal/modload"
	"safeload/internal/proc"
	"safeload/kmod"
)

// Options choose the module tree, the configuration and how they are followed.
// The zero value is what modprobe(8) does on the running system.
type Options struct {
	// Root is the directory above lib/modules and etc/modprobe.d, "/" if empty:
	// for [Loader.Lookup] and [Loader.Plan] in an image. With one, the kernel's
	// command line does not count.
	Root string
	// Release is the kernel's, as in uname -r; empty: that of the running one.
	Release string
	// ConfigPaths are the files and directories of the configuration. nil: those
	// of modprobe.d(5), below Root.
	ConfigPaths []string

	// UseBlacklist heeds blacklist lines for a module's own name as well, not
	// only for an alias (modprobe --use-blacklist).
	UseBlacklist bool
	// IgnoreCommands loads and removes what is asked for itself where the
	// configuration has a command for it (--ignore-install, --ignore-remove).
	IgnoreCommands bool
	// FirstTime makes it an error if there is nothing to do (--first-time):
	// EEXIST in loading, [ErrNotLoaded] in removing.
	FirstTime bool
	// IgnoreModversions and IgnoreVermagic load in spite of a mismatch
	// (--force-modversion, --force-vermagic).
	IgnoreModversions, IgnoreVermagic bool
	// RemoveHolders removes what uses a module before the module
	// (--remove-holders).
	RemoveHolders bool
	// RemoveWait is how long to try to remove a module in use, in whole
	// milliseconds (--wait).
	RemoveWait time.Duration

	// Unguarded leaves the guard out: a load that waits for itself then hangs.
	Unguarded bool
	// Environ is the environment of commands of the configuration. nil: that of
	// the program.
	Environ []string
	// Output is standard output and standard error of those commands. nil: none.
	Output *os.File
	// Log is told what libkmod and the guard say, a line each without its
	// newline: warnings and errors. nil: nobody. It may be called by several
	// goroutines at once.
	Log func(line string)
}

// Loader loads and removes modules of one tree by one configuration, both as
// they were when it was made. Several goroutines may use it at once.
//
// Of loads that one process has under way at the same time, the guard is around
// one: the others are submitted as kmod submits them.
type Loader struct {
	o      Options
	system modload.System // of a test; nil: the running system

	mu   sync.Mutex
	tree *kmod.Context // to be cloned; nil once closed
}

// New reads the configuration and opens the tree's indexes. A tree or a
// configuration that is not there is no error: it knows no modules. What is wrong
// with them is told to Log. Errors: of uname(2) and getcwd(2).
func New(o Options) (*Loader, error) {
	if o.Release == "" {
		var err error
		if o.Release, err = proc.Release(); err != nil {
			return nil, fmt.Errorf("modprobe: uname, for the kernel's release: %w", err)
		}
	}
	dir, err := filepath.Abs(filepath.Join("/", "lib/modules", o.Release))
	k := kmod.Options{ConfigPaths: o.ConfigPaths}
	if o.Root != "" && o.Root != "/" {
		dir, err = filepath.Abs(filepath.Join(o.Root, "lib/modules", o.Release))
		k.Cmdline = os.DevNull
		if k.ConfigPaths == nil {
			for _, d := range kmod.ConfigDirs {
				k.ConfigPaths = append(k.ConfigPaths, filepath.Join(o.Root, d))
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("modprobe: the directory of the module tree: %w", err)
	}
	k.Dir = dir
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	k.Environ = o.Environ
	l := &Loader{o: o}
	k.Log = func(level int, _, message string) { l.log(level, message) }
	l.tree = kmod.New(k)
	return l, nil
}

// Close gives back the memory of the indexes. No other method may be under way,
// and none works afterwards: they fail with [os.ErrClosed].
func (l *Loader) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tree == nil {
		return os.ErrClosed
	}
	l.tree.Close()
	l.tree = nil
	return nil
}

// clone returns a view of the tree for one request.
func (l *Loader) clone() (*kmod.Context, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tree == nil {
		return nil, os.ErrClosed
	}
	return l.tree.Clone(), nil
}

func (l *Loader) log(level int, message string) {
	if l.o.Log != nil && level <= kmod.LogWarning {
		l.o.Log(strings.TrimSuffix(message, "\n"))
	}
}

// Module is a module that a name stands for.
type Module struct {
	Name string // in the kernel's spelling, with '_'
	Path string // of its file; empty if there is none
	// Alias is the pattern or name in the configuration or in modules.alias by
	// which it was found; empty if by its own name.
	Alias       string
	Builtin     bool
	Blacklisted bool
}

// Step is one thing that a load does.
type Step struct {
	Module  string // in the kernel's spelling
	Path    string // of its file; empty if it is built in
	Params  string // as the kernel is given them
	Command string // is run in place of loading it, by /bin/sh; empty: none
	// Required is false for soft dependencies: the load goes on if they fail.
	Required bool
}

// find resolves a name, or a path that begins with "/" or "./".
func find(c *kmod.Context, name string) ([]*kmod.Module, error) {
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") {
		m, err := c.ByPath(name)
		if err != nil {
			return nil, err
		}
		return []*kmod.Module{m}, nil
	}
	return c.Lookup(name)
}

// Lookup returns the modules that a name, an alias or the path of a file stands
// for, in the order in which they are loaded. Errors, in an [*Error]:
// [ErrNotFound], EINVAL for a name with unpaired brackets, ENAMETOOLONG; with a
// path, those of stat(2).
func (l *Loader) Lookup(name string) ([]Module, error) {
	c, err := l.clone()
	if err != nil {
		return nil, &Error{Op: "lookup", Name: name, Err: err}
	}
	list, err := find(c, name)
	if err != nil {
		return nil, &Error{Op: "lookup", Name: name, Err: err}
	}
	var found []Module
	for _, m := range list {
		found = append(found, Module{
			Name: strings.Clone(m.Name), Path: strings.Clone(m.Path()), Alias: strings.Clone(m.Alias),
			Builtin: m.Builtin(), Blacklisted: m.Blacklisted(),
		})
	}
	return found, nil
}

// Plan returns what [Loader.Load] would do for a name if nothing were loaded yet,
// in order (modprobe --show-depends). Errors are those of [Loader.Lookup].
func (l *Loader) Plan(name string, params ...string) ([]Step, error) {
	c, err := l.clone()
	if err != nil {
		return nil, &Error{Op: "plan", Name: name, Err: err}
	}
	list, err := find(c, name)
	if err != nil {
		return nil, &Error{Op: "plan", Name: name, Err: err}
	}
	var steps []Step
	for _, m := range list {
		for _, s := range m.Plan(l.o.IgnoreCommands, modload.JoinParams(params)) {
			steps = append(steps, Step{
				Module: strings.Clone(s.Module.Name), Path: strings.Clone(s.Module.Path()),
				Params: strings.Clone(strings.TrimSuffix(s.Options, " ")), Command: strings.Clone(s.Command), Required: s.Required,
			})
		}
	}
	return steps, nil
}

// Load loads what a name, an alias or the path of a file stands for, with what it
// needs; params are "name=value" each. It returns when all init functions have
// returned. What is loaded already is no error.
//
// An alias may stand for several modules: all are tried, and as with modprobe(8)
// it is the last one that counts; its error is joined with those of the others.
//
// Errors are an [*Error] each. [errors.Is] finds the errno, or [ErrNotFound],
// [ErrBlacklisted], [ErrRefused]; [errors.As] finds the [*guard.Refused] with the
// chain of waits, the [*finit.Error], the [*CommandError].
//
// The end of ctx keeps the next step from beginning and kills a command of the
// configuration, but not what the command has left behind. It does not end a load
// that the kernel has begun: there is no way to take it back.
func (l *Loader) Load(ctx context.Context, name string, params ...string) error {
	r, err := l.request(ctx, name)
	if err != nil {
		return &Error{Op: "load", Name: name, Err: err}
	}
	defer r.Close()
	list, err := find(r.Modules, name)
	if err != nil {
		return &Error{Op: "load", Name: name, Err: err}
	}
	var failed []error
	passedOver := 0
	for _, m := range list {
		if err = ctx.Err(); err == nil {
			err = r.Load(m, modload.JoinParams(params))
		}
		if errors.Is(err, ErrBlacklisted) {
			passedOver++
		}
		if err != nil {
			failed = append(failed, &Error{Op: "load", Name: name, Module: strings.Clone(m.Name), Err: public(err)})
		}
	}
	switch {
	case err == nil, errors.Is(err, ErrBlacklisted) && passedOver < len(list):
		return nil
	case len(failed) == 1:
		return failed[0]
	}
	return errors.Join(failed...)
}

// Unload removes what a name or an alias stands for, then the dependencies that
// nothing uses any more. What is not loaded is no error, see Options.FirstTime.
//
// Errors are an [*Error]. [errors.Is] finds the errno of delete_module(2), or
// [ErrNotFound], [ErrInUse], [ErrBuiltin], [ErrNotLoaded].
func (l *Loader) Unload(ctx context.Context, name string) error {
	r, err := l.request(ctx, name)
	if err != nil {
		return &Error{Op: "unload", Name: name, Err: err}
	}
	defer r.Close()
	list, err := r.Modules.Lookup(name)
	if err != nil {
		return &Error{Op: "unload", Name: name, Err: err}
	}
	for _, m := range list {
		if err := r.Remove(m); err != nil {
			return &Error{Op: "unload", Name: name, Module: strings.Clone(m.Name), Err: err}
		}
	}
	return nil
}

// request makes one request of this Loader.
func (l *Loader) request(ctx context.Context, name string) (*modload.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := l.clone()
	if err != nil {
		return nil, err
	}
	system := l.system
	if system == nil {
		system = &running{modload.Kernel{Loader: finit.Loader{Unpack: unpack.InProcess}}, ctx, l}
	}
	return &modload.Request{
		Name: name, Modules: c, System: system, Teller: teller{l},
		Options: modload.Options{
			IgnoreCommand:      l.o.IgnoreCommands,
			IgnoreModversions:  l.o.IgnoreModversions,
			IgnoreVermagic:     l.o.IgnoreVermagic,
			FirstTime:          l.o.FirstTime,
			UseBlacklist:       l.o.UseBlacklist,
			RemoveHolders:      l.o.RemoveHolders,
			RemoveWaitMsec:     uint64(max(l.o.RemoveWait, 0) / time.Millisecond),
			CommandEnvironment: slices.Clone(l.o.Environ),
		},
	}, nil
}

// teller passes on what there is to say.
type teller struct{ l *Loader }

func (teller) Slow() {}

func (t teller) Lib(level int, _, text string) { t.l.log(level, text) }

func (teller) Step(*kmod.Step) {}

func (teller) Removing(_, _ string) {}

// Failed stops the request at the first error, as modprobe's fatal messages do.
func (teller) Failed(*modload.Error) (stop bool) { return true }

// running is the running system, for one request.
type running struct {
	modload.Kernel
	ctx context.Context
	l   *Loader
}

// guarding is held by the one request of the process that has a guard. What an
// invocation says of itself to others is one entry a process, so a second guard
// would say what is not true.
var guarding sync.Mutex

type onlyGuard struct{ *guard.Guard }

func (g onlyGuard) Close() {
	g.Guard.Close()
	guarding.Unlock()
}

func (r *running) Guard(request string) modload.Guard {
	if r.l.o.Unguarded || unix.Geteuid() != 0 || !guarding.TryLock() {
		return nil
	}
	return onlyGuard{guard.New(guard.Options{Request: request, Unpack: r.Unpack, Log: func(line string) {
		r.l.log(kmod.LogWarning, line)
	}})}
}

func (r *running) Insert(path, name, params string, flags finit.Flags) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return r.Load(path, name, params, flags)
}

func (r *running) Remove(name string, force bool) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return r.Kernel.Remove(name, force)
}

func (r *running) Command(text string, env []string, look func() int) (status int, err error) {
	return runShell(r.ctx, text, env, r.l.o.Output, look)
}
