// SPDX-License-Identifier: Apache-2.0

// Package modprobe is the program modprobe(8), and insmod(8), rmmod(8),
// lsmod(8) and modinfo(8) beside it, as kmod's current master has them: the
// same options, output, messages and exit codes.
//
// What reaches the kernel goes through [System], so that tests need none. Package
// modload does what is done with a name; here are the options and the words. The
// kernel starts modprobe for each name that it does not know. That path is kept
// short: no package that costs at start-up is imported, and nothing is done
// before it is needed.
package modprobe

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/entry"
	"safeload/internal/modload"
	"safeload/internal/proc"
	"safeload/kmod"
)

// System is what reaches the kernel and other programs.
type System interface {
	modload.System
	// Image returns a module's file, decompressed.
	Image(path string) ([]byte, error)
}

// Env is what the program is given.
type Env struct {
	// Args are the arguments, the program's name first.
	Args []string
	// Environ is the environment, as in os.Environ.
	Environ []string
	System  System
	// Loader is System, as far as package modload needs it; if nil, System
	// itself. To convert the one to the other the runtime makes a table.
	Loader modload.System
	// Version of safeload.
	Version string
	// Applet is which of the programs it is and Name what messages call it,
	// if Args[0] says neither: "kmod list" is lsmod.
	Applet, Name string
}

// moduleRoot is kmod's MODULE_DIRECTORY as Debian configures it.
const moduleRoot = "/lib/modules"

// program is one run of modprobe.
type program struct {
	modload.Request
	env  *Env
	vars modload.Environment
	out  output
	log  logger
	// fatal is the level of what stops the program; with -a it is a
	// warning, which does not.
	fatal int

	verbose    int
	show       bool
	lookupOnly bool
}

// Main runs the program that the name in env.Args[0] says, modprobe if that
// says none, and returns its exit code, which is 0 or 1.
func Main(env *Env) (code int) {
	// The Go runtime takes all signals and lets this one pass. Whoever sets an
	// alarm before execve(2) wants modprobe to end by it.
	if entry.OwnsSignals() {
		setHandler(syscall.SIGALRM, sigDfl)
	}
	p := &process.program
	if env != &process.env {
		p = new(program)
	}
	*p = program{env: env, vars: modload.Environment(env.Environ), fatal: kmod.LogCrit, verbose: kmod.LogWarning}
	if p.System = env.Loader; env.Loader == nil {
		p.System = env.System
	}
	p.Teller, p.CommandEnvironment = p, p.vars
	if len(env.Args) == 0 {
		env.Args = []string{"modprobe"}
	}
	p.out.fd = 1
	p.log = logger{name: baseName(env.Args[0]), level: kmod.LogWarning, libLevel: kmod.LogErr, out: &p.out}
	defer func() {
		p.out.flush()
		p.Close()
	}()
	applet := p.log.name
	if env.Name != "" {
		applet, p.log.name = env.Applet, env.Name
	}
	run := p.modprobe
	switch applet {
	case "insmod":
		run = p.insmod
	case "rmmod":
		run = p.rmmod
	case "lsmod":
		run = p.lsmod
	case "modinfo":
		run = p.modinfo
	}
	if !run() {
		return 1
	}
	return 0
}

func baseName(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

// modprobe reads the options and does what they say.
func (p *program) modprobe() bool {
	var o options
	if over, ok := o.read(p); over {
		return ok
	}
	if o.syslog || !stderrUsable() {
		p.log.syslog = &syslogger{name: p.log.name, fd: -1}
	}
	if !o.config && len(o.operands) == 0 {
		p.log.err("missing parameters. See -h.\n")
		return false
	}
	dir, ok := p.treeDir(&o.treeChoice)
	if !ok {
		return false
	}
	if level, set := p.vars.Get("KMOD_LOG"); set {
		p.log.libLevel = kmod.LogLevel(level)
	}
	p.context(kmod.Options{Dir: dir, ConfigPaths: o.configPaths, Environ: p.vars, Log: p.log.lib})
	p.setLevel()
	err := p.act(&o)
	if err == errFatal {
		return false // kmod ends at once
	}
	p.log.lib(kmod.LogInfo, "kmod_unref", "context 0x1 released\n")
	return err == nil
}

// act does what the options ask for.
func (p *program) act(o *options) error {
	switch {
	case o.config:
		p.showConfig()
		return nil
	case o.modversions:
		return p.showSymbols(o.operands[0], p.printModversions)
	case o.exports:
		return p.showSymbols(o.operands[0], p.printExports)
	case o.remove:
		return p.each(o.operands, func(name string) error { return p.removeName(name) })
	case o.all:
		return p.each(o.operands, func(name string) error { return p.insert(name, "") })
	}
	return p.insert(o.operands[0], modload.JoinParams(o.operands[1:]))
}

// treeChoice is what -d and -S say of the module tree.
type treeChoice struct {
	root, version      string
	dirSet, versionSet bool
}

// treeDir is the module tree that was chosen.
func (p *program) treeDir(o *treeChoice) (dir string, ok bool) {
	version := o.version
	if !o.versionSet {
		version = release()
	}
	dir = o.root + moduleRoot + "/" + version
	if o.dirSet && len(dir) >= unix.PathMax {
		p.log.err("bad directory ", dir, ": path too long\n")
		return "", false
	}
	if dir[0] != '/' {
		cwd, err := kmod.Cwd(p.vars)
		if err != nil {
			p.log.lib(kmod.LogErr, "kmod_new", "could not retrieve directory\n")
			p.log.err("kmod_new() failed!\n")
			return "", false
		}
		dir = cwd + "/" + dir
	}
	return dir, true
}

func (p *program) printVersion() {
	p.out.print(versionText, p.env.Version, "\n")
}

// each calls f for all names, as long as none ends the program. It returns the
// last error.
func (p *program) each(names []string, f func(string) error) (last error) {
	for _, name := range names {
		if err := f(name); err != nil {
			last = err
		}
		if last == errFatal {
			break
		}
	}
	return last
}

func (p *program) deprecated(old, use string) {
	p.log.warn("--", old, " is deprecated and scheduled for removal; use --", use, "\n")
}

func printErr(msg string) {
	stuck := false
	_ = writeAll(2, []byte(msg), &stuck)
}

// release is uname -r, or empty.
func release() string {
	r, _ := proc.Release()
	return r
}
