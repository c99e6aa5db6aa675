// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"bufio"
	"io"
	"os"
	"strings"

	"safeload/internal/dirents"
	"safeload/internal/getopt"
	"safeload/internal/proc"
	"safeload/internal/stdio"
	"safeload/kmod"
)

var options = []getopt.Option{
	{Name: "all", Val: 'a'},
	{Name: "quick", Val: 'A'},
	{Name: "basedir", Arg: true, Val: 'b'},
	{Name: "moduledir", Arg: true, Val: 'm'},
	{Name: "outdir", Arg: true, Val: 'o'},
	{Name: "config", Arg: true, Val: 'C'},
	{Name: "symvers", Arg: true, Val: 'E'},
	{Name: "filesyms", Arg: true, Val: 'F'},
	{Name: "errsyms", Val: 'e'},
	{Name: "verbose", Val: 'v'},
	{Name: "show", Val: 'n'},
	{Name: "dry-run", Val: 'n'},
	{Name: "symbol-prefix", Arg: true, Val: 'P'},
	{Name: "warn", Val: 'w'},
	{Name: "version", Val: 'V'},
	{Name: "help", Val: 'h'},
}

// Env is what the program is given.
type Env struct {
	Args    []string // the program's name first
	Environ []string
	Stdout  io.Writer
	// Version is the text of -V.
	Version string
}

// program is one run.
type program struct {
	env Env
	log logger
	out *bufio.Writer
	cfg config

	version, dir, outDir string
	prefix               string // of symbols, one character or none
	checkSymvers         bool
	printUnknown         bool
	warnDuplicates       bool

	byName, byFile map[string]*module
	modules        []*module
	symbols        map[string]*symbol
	ordered        []*symbol // those of modules
	buffers        dirents.Buffers
	stamps         []int // see allDeps
	stamp          int
	lines          []string // see depLines
}

// arguments are what the options said.
type arguments struct {
	all, maybe, stdout           bool
	root, outRoot, moduleDir     string
	outSet                       bool
	configs                      []string
	symvers, systemMap           string
	symversGiven, systemMapGiven bool
	files                        []string
}

// Main runs the program and returns its exit code.
func Main(env Env) (code int) {
	p := &program{env: env, log: logger{name: "depmod", level: kmod.LogWarning}, out: bufio.NewWriter(env.Stdout),
		byName: map[string]*module{}, byFile: map[string]*module{}, symbols: map[string]*symbol{}}
	defer p.out.Flush()
	defer func() {
		if r := recover(); r != nil {
			status, exit := r.(exitStatus)
			if !exit {
				panic(r)
			}
			code = int(status)
		}
	}()
	a := arguments{moduleDir: "/lib/modules"}
	if done, code := p.parse(&a); done {
		return code
	}
	if !p.directories(&a) {
		return 1
	}
	return p.run(&a)
}

// show prints what -v asks for.
func (p *program) show(parts ...string) {
	if p.log.level <= kmod.LogWarning {
		return
	}
	for _, s := range parts {
		_, _ = p.out.WriteString(s)
	}
	p.out.Flush()
}

// parse reads the options. With done, the program is at its end.
func (p *program) parse(a *arguments) (done bool, code int) {
	posix := false
	for _, kv := range p.env.Environ {
		posix = posix || strings.HasPrefix(kv, "POSIXLY_CORRECT=")
	}
	opts := getopt.Parser{Args: p.env.Args, Short: "aAb:m:o:C:E:F:evnP:wVh", Long: options, Posix: posix,
		Errs: func(msg string) { _, _ = os.Stderr.WriteString(msg) }}
	for o := opts.Next(); o != getopt.End; o = opts.Next() {
		switch o {
		case 'a':
			a.all = true
		case 'A':
			a.maybe = true
		case 'b':
			a.root = p.absolute(opts.Arg)
		case 'm':
			a.moduleDir = opts.Arg
		case 'o':
			a.outRoot, a.outSet = p.absolute(opts.Arg), true
		case 'C':
			a.configs = append(a.configs, opts.Arg)
		case 'E':
			a.symvers, a.symversGiven, p.checkSymvers = opts.Arg, true, true
		case 'F':
			a.systemMap, a.systemMapGiven = opts.Arg, true
		case 'e':
			p.printUnknown = true
		case 'v':
			p.log.level++
		case 'n':
			a.stdout = true
		case 'P':
			if len(opts.Arg) != 1 {
				p.log.crit("-P only takes a single char\n")
			}
			p.prefix = opts.Arg
		case 'w':
			p.warnDuplicates = true
		case 'h':
			_, _ = p.out.WriteString("Usage:\n\t" + p.log.name + helpText)
			return true, 0
		case 'V':
			_, _ = p.out.WriteString(p.env.Version)
			return true, 0
		default:
			return true, 1
		}
	}
	a.files = opts.Operands
	return false, 0
}

// absolute is path_make_absolute_cwd of kmod.
func (p *program) absolute(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	wd, err := kmod.Cwd(p.env.Environ)
	if err != nil {
		p.log.err("invalid image path ", path, "\n")
		panic(exitStatus(1))
	}
	return wd + "/" + path
}

// directories finds where the tree is and where the indexes go.
func (p *program) directories(a *arguments) bool {
	if len(a.files) > 0 {
		p.version = a.files[0]
		x := p.version
		_, x, ok := stdio.Unsigned(x)
		if ok && strings.HasPrefix(x, ".") {
			_, _, ok = stdio.Unsigned(x[1:])
		} else {
			ok = false
		}
		if !ok {
			p.log.err("Bad version passed ", p.version, "\n")
			return false
		}
		a.files = a.files[1:]
	} else {
		var err error
		if p.version, err = proc.Release(); err != nil {
			p.log.crit("uname() failed: ", text(err), "\n")
		}
	}
	below := "/" + strings.TrimLeft(a.moduleDir, "/") + "/" + p.version
	out := a.root
	if a.outSet {
		out = a.outRoot
	}
	for _, dir := range [...]string{a.root, out} {
		if len(dir+below) >= pathMax {
			p.log.err("Bad directory ", dir, below, ": path too long\n")
			return false
		}
	}
	p.dir, p.outDir = a.root+below, out+below
	a.all = a.all || len(a.files) == 0
	return true
}

func (p *program) run(a *arguments) int {
	if a.maybe {
		if a.stdout || p.upToDate() {
			return 0
		}
		a.all = true
	}
	p.context()
	// Not at the end of one that a fatal message ends.
	code := p.index(a)
	p.log.info("context 0x1 released\n")
	return code
}

// index finds the modules and makes their indexes.
func (p *program) index(a *arguments) int {
	switch {
	case a.symversGiven:
		if err := p.readSymvers(a.symvers); err != nil {
			p.log.crit("could not load ", a.symvers, ": ", text(err), "\n")
		}
	case a.systemMapGiven:
		if err := p.readSystemMap(a.systemMap); err != nil {
			p.log.crit("could not load ", a.systemMap, ": ", text(err), "\n")
		}
	case p.printUnknown:
		p.log.warn("-e needs -E or -F\n")
		p.printUnknown = false
	}
	if a.all {
		paths := a.configs
		if paths == nil {
			paths = configDirs
		}
		p.readConfig(paths)
		if err := p.search(); err != nil {
			p.log.crit("could not search modules: ", text(err), "\n")
		}
	} else {
		for _, path := range a.files {
			p.addFile(path)
		}
	}
	p.order()
	p.stamps = make([]int, len(p.modules))
	if p.load() != nil {
		return 1
	}
	if a.stdout {
		for _, x := range indexes {
			if !x.binary {
				b, _ := x.make(p)
				_, _ = p.out.Write(b)
			}
		}
		return 0
	}
	if p.output() != nil {
		return 1
	}
	return 0
}

// context prints what libkmod prints when it is set up, which is about the kernel's
// command line.
func (p *program) context() {
	level := kmod.LogErr
	for _, kv := range p.env.Environ {
		if v, ok := strings.CutPrefix(kv, "KMOD_LOG="); ok {
			level = kmod.LogLevel(v)
		}
	}
	names := map[int]string{kmod.LogEmerg: "EMERGENCY", kmod.LogAlert: "ALERT", kmod.LogCrit: "CRITICAL", kmod.LogErr: "ERROR",
		kmod.LogWarning: "WARNING", kmod.LogNotice: "NOTICE", kmod.LogInfo: "INFO", kmod.LogDebug: "DEBUG"}
	kmod.New(kmod.Options{Dir: p.dir, NoConfig: true, Regular: true, Environ: p.env.Environ, Log: func(l int, function, msg string) {
		if l <= level {
			_, _ = os.Stderr.WriteString("libkmod: " + names[l] + ": " + function + ": " + msg)
		}
	}})
	p.log.info("custom logging function 0x1 registered\n")
}

const helpText = ` -[aA] [options] [forced_version]

If no arguments (except options) are given, "depmod -a" is assumed

depmod will output a dependency list suitable for the modprobe utility.

Options:
	-a, --all            Probe all modules
	-A, --quick          Only does the work if there's a new module
	-e, --errsyms        Report not supplied symbols
	-n, --show           Write the dependency file on stdout only
	-P, --symbol-prefix  Architecture symbol prefix
	-C, --config PATH    Read configuration from PATH
	-v, --verbose        Enable verbose mode
	-w, --warn           Warn on duplicates
	-V, --version        show version
	-h, --help           show this help

The following options are useful for people managing distributions:
	-b, --basedir DIR    Root path (default: /).
	-m, --moduledir DIR  Module directory (default: /lib/modules).
	-o, --outdir DIR     Output root path (default: same as <basedir>).
	-F, --filesyms FILE  Use the file instead of the
	                     current kernel symbols.
	-E, --symvers FILE   Use Module.symvers file to check
	                     symbol versions.
`
