// SPDX-License-Identifier: Apache-2.0

// Package modprobe is the program modprobe(8), and insmod(8), rmmod(8),
// lsmod(8) and modinfo(8) beside it, as kmod's current master has them: the
// same options, output, messages and exit codes.
//
// What reaches the kernel goes through [System], so that tests need none. What
// is done with a name is in package modload; here are the options and the words. The kernel starts modprobe for each name that it does not know,
// which is the path to keep short: no package that costs at start-up is
// imported, and nothing is done before it is needed.
package modprobe

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/entry"
	"safeload/internal/getopt"
	"safeload/internal/modload"
	"safeload/internal/syntax"
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

var longOptions = [...]getopt.Option{
	{Name: "all", Val: 'a'},
	{Name: "remove", Val: 'r'},
	{Name: "remove-dependencies", Val: optRemoveDependencies},
	{Name: "remove-holders", Val: optRemoveHolders},
	{Name: "wait", Arg: true, Val: 'w'},
	{Name: "resolve-alias", Val: optResolveAlias},
	{Name: "show-alias", Val: 'R'},
	{Name: "first-time", Val: optFirstTime},
	{Name: "ignore-install", Val: 'i'},
	{Name: "ignore-remove", Val: 'i'},
	{Name: "use-blacklist", Val: 'b'},
	{Name: "force", Val: 'f'},
	{Name: "force-modversion", Val: optForceModversion},
	{Name: "force-vermagic", Val: optForceVermagic},
	{Name: "show-depends", Val: 'D'},
	{Name: "showconfig", Val: optShowconfig},
	{Name: "show-config", Val: 'c'},
	{Name: "show-modversions", Val: optShowModversions},
	{Name: "dump-modversions", Val: optDumpModversions},
	{Name: "show-exports", Val: optShowExports},
	{Name: "dry-run", Val: 'n'},
	{Name: "show", Val: optShow},
	{Name: "config", Arg: true, Val: 'C'},
	{Name: "dirname", Arg: true, Val: 'd'},
	{Name: "set-version", Arg: true, Val: 'S'},
	{Name: "syslog", Val: 's'},
	{Name: "quiet", Val: 'q'},
	{Name: "verbose", Val: 'v'},
	{Name: "version", Val: 'V'},
	{Name: "help", Val: 'h'},
}

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
	ended bool // by a fatal message

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
	if !run() || p.ended {
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
	if value, set := p.vars.Get("MODPROBE_OPTIONS"); set {
		args = append(append(args[:1:1], splitOptions(value)...), args[1:]...)
	}
	_, posix := p.vars.Get("POSIXLY_CORRECT")
	opts := getopt.Parser{Args: args, Short: shortOptions, Long: longOptions[:], Posix: posix, Errs: printErr}
	var (
		all, remove, config, modversions, exports, syslog bool
		configPaths                                       []string
		root, version                                     string
		dirSet, versionSet                                bool
	)
	for o := opts.Next(); o != getopt.End; o = opts.Next() {
		switch o {
		case 'a':
			p.fatal, all = kmod.LogWarning, true
		case 'r':
			remove = true
		case optRemoveDependencies:
			p.deprecated("remove-dependencies", "remove-holders")
			p.RemoveHolders, remove = true, true
		case optRemoveHolders:
			p.RemoveHolders, remove = true, true
		case 'w':
			n, ok := parseUnsigned(opts.Arg)
			if !ok {
				p.log.err("unexpected wait value '", opts.Arg, "'.\n")
				return false
			}
			p.RemoveWaitMsec = n
		case optFirstTime:
			p.FirstTime = true
		case 'i':
			p.IgnoreCommand = true
		case 'b':
			p.UseBlacklist = true
		case 'f':
			p.Force, p.IgnoreModversions, p.IgnoreVermagic = true, true, true
		case optForceModversion:
			p.IgnoreModversions = true
		case optForceVermagic:
			p.IgnoreVermagic = true
		case 'D':
			p.IgnoreLoaded, p.DryRun, p.show = true, true, true
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
			p.DryRun, p.show = true, true
		case 'n':
			p.DryRun, p.show = true, true
		case 'C':
			configPaths = append(configPaths, opts.Arg)
			p.PassOn = append(p.PassOn, "-C", opts.Arg)
		case 'd':
			root, dirSet = opts.Arg, true
		case 'S':
			version, versionSet, dirSet = opts.Arg, true, true
		case 's':
			p.PassOn = append(p.PassOn, "-s")
			syslog = true
		case 'q':
			p.PassOn = append(p.PassOn, "-q")
			p.verbose = kmod.LogEmerg
		case 'v':
			p.PassOn = append(p.PassOn, "-v")
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
	operands := opts.Operands
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
	if level, set := p.vars.Get("KMOD_LOG"); set {
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
		ok = p.each(operands, func(name string) error { return p.removeName(name) })
	case all:
		ok = p.each(operands, func(name string) error { return p.insert(name, "") })
	default:
		ok = p.insert(operands[0], modload.JoinParams(operands[1:])) == nil
	}
	if p.ended {
		return false // a fatal message ends kmod at once
	}
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

// each calls f for all names, as long as none ends the program; all must
// succeed.
func (p *program) each(names []string, f func(string) error) bool {
	ok := true
	for _, name := range names {
		if f(name) != nil {
			ok = false
		}
		if p.ended {
			return false
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
	for i < len(s) && syntax.IsSpace(s[i]) {
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
