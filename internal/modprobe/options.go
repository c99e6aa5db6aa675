// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"safeload/internal/getopt"
	"safeload/internal/syntax"
	"safeload/kmod"
)

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

// options are those of modprobe that no other part of the program keeps.
type options struct {
	all, remove, config, modversions, exports, syslog bool
	configPaths                                       []string
	operands                                          []string
	treeChoice
}

// read reads the arguments. over says that the program is at its end with them,
// and ok whether all is well then.
func (o *options) read(p *program) (over, ok bool) {
	args := p.env.Args
	if value, set := p.vars.Get("MODPROBE_OPTIONS"); set {
		args = append(append(args[:1:1], splitOptions(value)...), args[1:]...)
	}
	_, posix := p.vars.Get("POSIXLY_CORRECT")
	opts := getopt.Parser{Args: args, Short: shortOptions, Long: longOptions[:], Posix: posix, Errs: printErr}
	for c := opts.Next(); c != getopt.End; c = opts.Next() {
		switch c {
		case 'w':
			n, ok := parseUnsigned(opts.Arg)
			if !ok {
				p.log.err("unexpected wait value '", opts.Arg, "'.\n")
				return true, false
			}
			p.RemoveWaitMsec = n
		case 'V':
			p.printVersion()
			return true, true
		case 'h':
			p.help()
			return true, true
		default:
			if !o.about(p, c, opts.Arg) && !p.how(c) {
				return true, false
			}
		}
	}
	o.operands = opts.Operands
	return false, false
}

// about takes an option that says what is to be done, or with which files, and
// reports whether c is one.
func (o *options) about(p *program, c rune, arg string) bool {
	switch c {
	case 'a':
		p.fatal, o.all = kmod.LogWarning, true
	case 'r':
		o.remove = true
	case optRemoveDependencies:
		p.deprecated("remove-dependencies", "remove-holders")
		p.RemoveHolders, o.remove = true, true
	case optRemoveHolders:
		p.RemoveHolders, o.remove = true, true
	case optShowconfig:
		p.deprecated("showconfig", "show-config")
		o.config = true
	case 'c':
		o.config = true
	case optDumpModversions:
		p.deprecated("dump-modversions", "show-modversions")
		o.modversions = true
	case optShowModversions:
		o.modversions = true
	case optShowExports:
		o.exports = true
	case 'C':
		o.configPaths = append(o.configPaths, arg)
		p.PassOn = append(p.PassOn, "-C", arg)
	case 'd':
		o.root, o.dirSet = arg, true
	case 'S':
		o.version, o.versionSet, o.dirSet = arg, true, true
	case 's':
		p.PassOn = append(p.PassOn, "-s")
		o.syslog = true
	default:
		return false
	}
	return true
}

// how takes an option that says how something is to be done, and reports whether
// c is one.
func (p *program) how(c rune) bool {
	switch c {
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
	case optShow:
		p.deprecated("show", "dry-run")
		p.DryRun, p.show = true, true
	case 'n':
		p.DryRun, p.show = true, true
	case 'q':
		p.PassOn = append(p.PassOn, "-q")
		p.verbose = kmod.LogEmerg
	case 'v':
		p.PassOn = append(p.PassOn, "-v")
		p.verbose++
	default:
		return false
	}
	return true
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
