// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/getopt"
	"safeload/internal/modload"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// applet is what insmod, rmmod and lsmod have in common.
type applet struct {
	short string
	long  []getopt.Option
	help  string // after "Usage:\n\tNAME"
	// option handles what is not common.
	option func(o rune)
}

var commonOptions = []getopt.Option{
	{Name: "syslog", Val: 's'},
	{Name: "verbose", Val: 'v'},
	{Name: "version", Val: 'V'},
	{Name: "help", Val: 'h'},
}

// parse reads the options. With stop, the program is at its end.
func (p *program) parse(a *applet) (operands []string, stop, ok bool) {
	p.verbose = kmod.LogErr
	_, posix := p.vars.Get("POSIXLY_CORRECT")
	// A command of kmod's goes on with the getopt(3) that has found the command.
	posix = posix || p.env.Name != ""
	opts := getopt.Parser{Args: p.env.Args, Short: a.short, Long: a.long, Posix: posix, Errs: printErr}
	for o := opts.Next(); o != getopt.End; o = opts.Next() {
		switch o {
		case 's':
			p.log.syslog = &syslogger{name: p.log.name, fd: -1}
		case 'v':
			p.verbose++
		case 'h':
			p.out.print("Usage:\n\t", p.log.name, a.help)
			return nil, true, true
		case 'V':
			p.printVersion()
			return nil, true, true
		case getopt.Bad:
			return nil, true, false
		default:
			a.option(o)
		}
	}
	return opts.Operands, false, true
}

// load makes the context of a program that reads no modprobe.d.
func (p *program) load(dir string) {
	if level, set := p.vars.Get("KMOD_LOG"); set {
		p.log.libLevel = kmod.LogLevel(level)
	}
	p.context(kmod.Options{Dir: dir, NoConfig: true, Environ: p.vars, Log: p.log.lib})
}

// setLevel makes messages what the options ask for, once they are read.
func (p *program) setLevel() {
	p.log.level, p.log.libLevel, p.log.setUp = p.verbose, p.verbose, true
	p.log.lib(kmod.LogInfo, "kmod_set_log_fn", "custom logging function 0x1 registered\n")
}

func (p *program) insmod() bool {
	operands, stop, ok := p.parse(&applet{
		short: "fsvVh",
		long: append([]getopt.Option{
			{Name: "force", Val: 'f'},
			{Name: "force-modversion", Val: optForceModversion},
			{Name: "force-vermagic", Val: optForceVermagic},
		}, commonOptions...),
		help: insmodHelp,
		option: func(o rune) {
			p.IgnoreModversions = p.IgnoreModversions || o != optForceVermagic
			p.IgnoreVermagic = p.IgnoreVermagic || o != optForceModversion
		},
	})
	if stop {
		return ok
	}
	if len(operands) == 0 {
		p.log.err("missing filename.\n")
		return false
	}
	file := operands[0]
	if file == "-" {
		p.log.err("this tool does not support loading from stdin!\n")
		return false
	}
	p.Name = file
	p.load(moduleRoot + "/" + release())
	p.setLevel()
	defer p.log.lib(kmod.LogInfo, "kmod_unref", "context 0x1 released\n")
	m, err := p.Modules.ByPath(file)
	if err != nil {
		p.log.err("could not load module ", file, ": ", strerror.Text(modload.Errno(err)), "\n")
		return false
	}
	err = p.Submit(m, modload.JoinParams(operands[1:]))
	if err == nil {
		return true
	}
	if !p.System.Refused(err) {
		p.log.err("could not insert module ", file, ": ", insmodText(modload.Errno(err)), "\n")
	}
	return false
}

// insmodText is what insmod says of an errno.
func insmodText(e syscall.Errno) string {
	switch e {
	case syscall.ENOEXEC:
		return "Invalid module format"
	case syscall.ENOENT:
		return "Unknown symbol in module"
	case syscall.ESRCH:
		return "Module has wrong symbol version"
	case syscall.EINVAL:
		return "Invalid parameters"
	}
	return strerror.Text(e)
}

func (p *program) rmmod() bool {
	operands, stop, ok := p.parse(&applet{
		short:  "fsvVh",
		long:   append([]getopt.Option{{Name: "force", Val: 'f'}}, commonOptions...),
		help:   rmmodHelp,
		option: func(rune) { p.Force = true },
	})
	if stop {
		return ok
	}
	if len(operands) == 0 {
		p.log.err("missing module name.\n")
		return false
	}
	p.load(moduleRoot + "/" + release())
	p.setLevel()
	defer p.log.lib(kmod.LogInfo, "kmod_unref", "context 0x1 released\n")
	ok = true
	for _, arg := range operands {
		// Each is removed and gone before the next is looked at.
		p.Modules.Forget()
		var m *kmod.Module
		var st unix.Stat_t
		if unix.Stat(arg, &st) == nil {
			var err error
			if m, err = p.Modules.ByPath(arg); err != nil {
				p.log.err("could not use module ", arg, ": ", strerror.Text(modload.Errno(err)), "\n")
				return false
			}
		} else {
			m = p.Modules.ByName(arg)
		}
		if !p.Force && !p.removable(m) {
			ok = false
			continue
		}
		if err := p.System.Remove(m.Name, p.Force); err != nil {
			text := strerror.Text(modload.Errno(err))
			p.log.lib(kmod.LogErr, "kmod_module_remove_module", "could not remove '"+m.Name+"': "+text+"\n")
			p.log.err("could not remove module ", arg, ": ", text, "\n")
			ok = false
		}
	}
	return ok
}

// removable says why a module cannot be removed, if it cannot.
func (p *program) removable(m *kmod.Module) bool {
	if m.Builtin() {
		p.log.err("Module ", m.Name, " is builtin.\n")
		return false
	}
	if _, errno := p.State(m); errno != 0 {
		p.log.err("Module ", m.Name, " is not currently loaded\n")
		return false
	}
	if holders := p.Holders(m); len(holders) > 0 {
		by := ""
		for _, h := range holders {
			by += " " + h.Name
		}
		p.log.err("Module ", m.Name, " is in use by:", by, "\n")
		return false
	}
	n, errno := p.RefCount(m)
	switch {
	case errno == syscall.ENOENT:
		p.log.err("Module unloading is not supported\n")
	case errno == 0 && n > 0:
		p.log.err("Module ", m.Name, " is in use\n")
		return false
	}
	// One that is going has -1; kmod says nothing of it.
	return errno == 0 && n >= 0
}

const insmodHelp = ` [options] filename [module options]
Options:
	-f, --force              DANGEROUS: forces a module load, may cause
	                         data corruption and crash your machine.
	                         implies --force-modversion and
	                         --force-vermagic
	    --force-modversion   Ignore module's version
	    --force-vermagic     Ignore module's version magic
	-s, --syslog             print to syslog, not stderr
	-v, --verbose            enables more messages
	-V, --version            show version
	-h, --help               show this help
`

const rmmodHelp = ` [options] modulenames
Options:
	-f, --force       DANGEROUS: forces a module unload and may
	                  crash your machine
	-s, --syslog      print to syslog, not stderr
	-v, --verbose     enables more messages
	-V, --version     show version
	-h, --help        show this help
`

const lsmodHelp = ` [options]
Options:
	-s, --syslog      print to syslog, not stderr
	-v, --verbose     enables more messages
	-V, --version     show version
	-h, --help        show this help
`
