// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"strings"

	"safeload/kmod"
)

// versionText is what kmod prints of itself, for the version that is followed:
// tools read the first line.
const versionText = "kmod version 34\n+ZSTD +XZ +ZLIB -OPENSSL\nsafeload "

func (p *program) help() {
	name := p.log.name
	for _, s := range [...]string{
		"Usage:\n\t", " [options] [-i] [-b] modulename\n\t",
		" [options] -a [-i] [-b] modulename [modulename...]\n\t",
		" [options] -r [-i] modulename\n\t",
		" [options] -r -a [-i] modulename [modulename...]\n\t",
		" [options] -c\n\t",
	} {
		p.out.print(s, name)
	}
	p.out.print(" [options] --show-modversions filename\n", helpText)
}

const helpText = `Management Options:
	-a, --all                   Consider every non-argument to
	                            be a module name to be inserted
	                            or removed (-r)
	-r, --remove                Remove modules instead of inserting
	    --remove-holders        Also remove module holders (use together with -r)
	-w, --wait MSEC             When removing a module, wait up to MSEC for
	                            module's refcount to become 0 so it can be
	                            removed (use together with -r)
	    --first-time            Fail if module already inserted or removed
	-i, --ignore-install        Ignore install commands
	-i, --ignore-remove         Ignore remove commands
	-b, --use-blacklist         Apply blacklist to resolved alias.
	-f, --force                 Force module insertion or removal.
	                            implies --force-modversion and
	                            --force-vermagic
	    --force-modversion      Ignore module's version
	    --force-vermagic        Ignore module's version magic

Query Options:
	-R, --show-alias            Print module(s) matching given alias and exit
	-D, --show-depends          Print module dependencies and exit
	-c, --show-config           Print known configuration and exit
	    --show-modversions      Print module symbol version and exit
	    --show-exports          Print module exported symbol versions and exit

General Options:
	-n, --dry-run               Do not execute operations, just print out
	-C, --config FILE           Use FILE instead of default search paths
	-d, --dirname DIR           Use DIR as filesystem root for /lib/modules
	-S, --set-version VERSION   Use VERSION instead of $(uname -r)
	-s, --syslog                print to syslog, not stderr
	-q, --quiet                 disable messages
	-v, --verbose               enables more messages
	-V, --version               show version
	-h, --help                  show this help
`

// showConfig prints the configuration and the aliases of the tree.
func (p *program) showConfig() {
	c := p.Modules.Config
	for _, name := range c.Blacklist {
		p.out.print("blacklist ", name, "\n")
	}
	p.directives("install ", c.Install)
	p.directives("remove ", c.Remove)
	p.directives("alias ", c.Aliases)
	p.directives("options ", c.Options)
	for _, d := range c.Softdeps {
		s := kmod.ParseSoftdep(d.Value)
		p.out.print("softdep ", d.Name, " ")
		if len(s.Pre) > 0 {
			p.out.print("pre: ", strings.Join(s.Pre, " "))
		}
		if len(s.Post) > 0 {
			// Right after the last name, as kmod has it.
			p.out.print("post: ", strings.Join(s.Post, " "))
		}
		p.out.print("\n")
	}
	for _, d := range c.Weakdeps {
		p.out.print("weakdep ", d.Name, " ", strings.Join(kmod.ParseWeakdep(d.Value), " "), "\n")
	}
	p.out.print("\n# End of configuration files. Dumping indexes now:\n\n")
	p.Modules.DumpAliases(func(key []byte, module string) {
		p.out.print("alias ", string(key), " ", module, "\n")
	})
}

func (p *program) directives(kind string, list []kmod.Directive) {
	for _, d := range list {
		p.out.print(kind, d.Name, " ", d.Value, "\n")
	}
}

// showSymbols prints something of the modules of a name.
func (p *program) showSymbols(name string, print func(*kmod.Module) error) error {
	list, err := p.resolve(name)
	for _, m := range list {
		if err = print(m); err == errFatal {
			break
		}
	}
	return err
}
