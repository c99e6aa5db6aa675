// SPDX-License-Identifier: Apache-2.0

// Package modprobe is the program modprobe(8), and insmod(8), rmmod(8),
// lsmod(8) and modinfo(8) beside it, as kmod's current master has them: the
// same options, output, messages and exit codes.
//
// What reaches the kernel goes through the functions of [Env], so that tests
// need none. The kernel starts modprobe for each name that it does not know,
// which is the path to keep short: no package that costs at start-up is
// imported, and nothing is done before it is needed.
package modprobe

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/kmod"
)

// Flags for [Env.Insert], as in linux/module.h.
const (
	IgnoreModversions = 1
	IgnoreVermagic    = 2
)

// Guard decides whether a module may be submitted to the kernel.
type Guard interface {
	// Submit calls submit, or refuses to: then its error is one that
	// [Env.Reported] knows.
	Submit(module, path string, submit func() error) error
	// Command calls run with the environment for an install or remove command
	// of a module, kind being the one word or the other; or refuses to. While
	// the command runs, run calls look, at once and again after so many
	// milliseconds as that returns, until it is negative; nil: never.
	Command(kind, module, text string, env []string, run func(env []string, look func() int) error) error
	Close()
}

// Env is what the program is given.
type Env struct {
	// Args are the arguments, the program's name first.
	Args []string
	// Environ is the environment, as in os.Environ.
	Environ []string
	// Guard makes the guard for a request, before the first submit or
	// command; nil for none.
	Guard func(request string) Guard
	// Reported tells that the user has been told of an error already.
	Reported func(error) bool
	// Insert loads the module in the file at path. The errno of its error
	// is what is printed.
	Insert func(path, name, params string, flags uint) error
	// Image returns a module's file, decompressed.
	Image func(path string) ([]byte, error)
	// Remove removes a module without waiting, in use or not with force.
	Remove func(name string, force bool) error
	// Version of safeload.
	Version string
}

// moduleRoot is kmod's MODULE_DIRECTORY as Debian configures it.
const moduleRoot = "/lib/modules"

const shortOptions = "arw:RibfDcnC:d:S:sqvVh"

// Values of the options without a letter, as in kmod.
const (
	optForceVermagic = iota + 1
	optForceModversion
	optFirstTime
	optShowModversions
	optRemoveHolders
	optShowExports
	optRemoveDependencies
	optResolveAlias
	optShowconfig
	optDumpModversions
	optShow
)

var longOptions = [...]longOption{
	{"all", false, 'a'},
	{"remove", false, 'r'},
	{"remove-dependencies", false, optRemoveDependencies},
	{"remove-holders", false, optRemoveHolders},
	{"wait", true, 'w'},
	{"resolve-alias", false, optResolveAlias},
	{"show-alias", false, 'R'},
	{"first-time", false, optFirstTime},
	{"ignore-install", false, 'i'},
	{"ignore-remove", false, 'i'},
	{"use-blacklist", false, 'b'},
	{"force", false, 'f'},
	{"force-modversion", false, optForceModversion},
	{"force-vermagic", false, optForceVermagic},
	{"show-depends", false, 'D'},
	{"showconfig", false, optShowconfig},
	{"show-config", false, 'c'},
	{"show-modversions", false, optShowModversions},
	{"dump-modversions", false, optDumpModversions},
	{"show-exports", false, optShowExports},
	{"dry-run", false, 'n'},
	{"show", false, optShow},
	{"config", true, 'C'},
	{"dirname", true, 'd'},
	{"set-version", true, 'S'},
	{"syslog", false, 's'},
	{"quiet", false, 'q'},
	{"verbose", false, 'v'},
	{"version", false, 'V'},
	{"help", false, 'h'},
}

// program is one run of modprobe.
type program struct {
	env   *Env
	vars  environment
	out   output
	log   logger
	ctx   *kmod.Context
	guard Guard
	// fatal is the level of what stops the program; with -a it is a
	// warning, which does not.
	fatal int

	verbose       int
	show          bool
	dryRun        bool
	ignoreLoaded  bool
	lookupOnly    bool
	firstTime     bool
	ignoreCommand bool
	useBlacklist  bool
	forceVermagic bool
	forceModver   bool
	force         bool
	removeHolders bool
	waitMsec      uint64
	request       string
	// passOn are options for what commands call, by MODPROBE_OPTIONS.
	passOn []string
	// removing are the modules whose removal has begun.
	removing []*kmod.Module
}

// Main runs the program that the name in env.Args[0] says, modprobe if that
// says none, and returns its exit code, which is 0 or 1.
func Main(env *Env) (code int) {
	// The Go runtime takes all signals and lets this one pass. Whoever sets an
	// alarm before execve(2) wants modprobe to end by it.
	setHandler(syscall.SIGALRM, sigDfl)
	p := &process.program
	if env != &process.env {
		p = new(program)
	}
	*p = program{env: env, vars: environment(env.Environ), fatal: kmod.LogCrit, verbose: kmod.LogWarning}
	if len(env.Args) == 0 {
		env.Args = []string{"modprobe"}
	}
	p.out.fd = 1
	p.log = logger{name: baseName(env.Args[0]), level: kmod.LogWarning, libLevel: kmod.LogErr, out: &p.out}
	defer func() {
		if r := recover(); r != nil {
			status, ok := r.(exitStatus)
			if !ok {
				panic(r)
			}
			code = int(status)
		}
		p.out.flush()
		if p.guard != nil {
			p.guard.Close()
		}
	}()
	run := p.modprobe
	switch p.log.name {
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
func (p *program) modprobe() (ok bool) {
	args := p.env.Args
	if value, set := p.vars.get("MODPROBE_OPTIONS"); set {
		args = append(append(args[:1:1], splitOptions(value)...), args[1:]...)
	}
	_, posix := p.vars.get("POSIXLY_CORRECT")
	opts := getopt{args: args, short: shortOptions, long: longOptions[:], posix: posix, errs: printErr}
	var (
		all, remove, config, modversions, exports, syslog bool
		configPaths                                       []string
		root, version                                     string
		dirSet, versionSet                                bool
	)
	for o := opts.next(); o != optEnd; o = opts.next() {
		switch o {
		case 'a':
			p.fatal, all = kmod.LogWarning, true
		case 'r':
			remove = true
		case optRemoveDependencies:
			p.deprecated("remove-dependencies", "remove-holders")
			p.removeHolders, remove = true, true
		case optRemoveHolders:
			p.removeHolders, remove = true, true
		case 'w':
			n, ok := parseUnsigned(opts.Arg)
			if !ok {
				p.log.err("unexpected wait value '", opts.Arg, "'.\n")
				return false
			}
			p.waitMsec = n
		case optFirstTime:
			p.firstTime = true
		case 'i':
			p.ignoreCommand = true
		case 'b':
			p.useBlacklist = true
		case 'f':
			p.force = true
		case optForceModversion:
			p.forceModver = true
		case optForceVermagic:
			p.forceVermagic = true
		case 'D':
			p.ignoreLoaded, p.dryRun, p.show = true, true, true
		case optResolveAlias:
			p.deprecated("resolve-alias", "show-alias")
			p.lookupOnly = true
		case 'R':
			p.lookupOnly = true
		case optShowconfig:
			p.deprecated("showconfig", "show-config")
			config = true
		case 'c':
			config = true
		case optDumpModversions:
			p.deprecated("dump-modversions", "show-modversions")
			modversions = true
		case optShowModversions:
			modversions = true
		case optShowExports:
			exports = true
		case optShow:
			p.deprecated("show", "dry-run")
			p.dryRun, p.show = true, true
		case 'n':
			p.dryRun, p.show = true, true
		case 'C':
			configPaths = append(configPaths, opts.Arg)
			p.passOn = append(p.passOn, "-C", opts.Arg)
		case 'd':
			root, dirSet = opts.Arg, true
		case 'S':
			version, versionSet, dirSet = opts.Arg, true, true
		case 's':
			p.passOn = append(p.passOn, "-s")
			syslog = true
		case 'q':
			p.passOn = append(p.passOn, "-q")
			p.verbose = kmod.LogEmerg
		case 'v':
			p.passOn = append(p.passOn, "-v")
			p.verbose++
		case 'V':
			p.printVersion()
			return true
		case 'h':
			p.help()
			return true
		default:
			return false
		}
	}
	operands := opts.operands
	if syslog || !stderrUsable() {
		p.log.syslog = &syslogger{name: p.log.name, fd: -1}
	}
	if !config && len(operands) == 0 {
		p.log.err("missing parameters. See -h.\n")
		return false
	}
	dir, ok := p.treeDir(root, version, dirSet, versionSet)
	if !ok {
		return false
	}
	if level, set := p.vars.get("KMOD_LOG"); set {
		p.log.libLevel = kmod.LogLevel(level)
	}
	p.context(kmod.Options{Dir: dir, ConfigPaths: configPaths, Environ: p.vars, Log: p.log.lib})
	p.setLevel()
	switch {
	case config:
		ok = p.showConfig()
	case modversions:
		ok = p.showSymbols(operands[0], p.printModversions)
	case exports:
		ok = p.showSymbols(operands[0], p.printExports)
	case remove:
		ok = each(operands, func(name string) error { return p.removeName(name) })
	case all:
		ok = each(operands, func(name string) error { return p.insert(name, "") })
	default:
		ok = p.insert(operands[0], joinParams(operands[1:])) == nil
	}
	// Not deferred: a fatal message ends kmod at once.
	p.log.lib(kmod.LogInfo, "kmod_unref", "context 0x1 released\n")
	return ok
}

// treeDir is the module tree that -d and -S choose.
func (p *program) treeDir(root, version string, dirSet, versionSet bool) (dir string, ok bool) {
	if !versionSet {
		version = release()
	}
	dir = root + moduleRoot + "/" + version
	if dirSet && len(dir) >= unix.PathMax {
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

// each calls f for all names; all must succeed.
func each(names []string, f func(string) error) bool {
	ok := true
	for _, name := range names {
		if f(name) != nil {
			ok = false
		}
	}
	return ok
}

func (p *program) deprecated(old, use string) {
	p.log.warn("--", old, " is deprecated and scheduled for removal; use --", use, "\n")
}

func printErr(msg string) {
	stuck := false
	_ = writeAll(2, []byte(msg), &stuck)
}

// release is uname -r.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	for i, c := range u.Release {
		if c == 0 {
			return string(u.Release[:i])
		}
	}
	return string(u.Release[:])
}

// parseUnsigned is strtoul(3) with base 0 of a whole word.
func parseUnsigned(s string) (n uint64, ok bool) {
	i := 0
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	neg := false
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		neg = s[i] == '-'
		i++
	}
	base := uint64(10)
	digit := func(c byte) uint64 {
		switch {
		case c >= '0' && c <= '9':
			return uint64(c - '0')
		case c >= 'a' && c <= 'f':
			return uint64(c-'a') + 10
		case c >= 'A' && c <= 'F':
			return uint64(c-'A') + 10
		}
		return 99
	}
	if i < len(s) && s[i] == '0' {
		base = 8
		if i+2 < len(s) && (s[i+1] == 'x' || s[i+1] == 'X') && digit(s[i+2]) < 16 {
			base = 16
			i += 2
		}
	}
	start := i
	limit := uint64(^uint(0))
	for ; i < len(s); i++ {
		d := digit(s[i])
		if d >= base {
			return 0, false
		}
		if n > (limit-d)/base {
			return 0, false // ERANGE
		}
		n = n*base + d
	}
	if i == start {
		return 0, false
	}
	if neg {
		n = uint64(-uint(n))
	}
	return n, true
}

// errnoOf digs the errno out of an error.
func errnoOf(err error) syscall.Errno { return finit.ErrnoOf(err, syscall.EINVAL) }
