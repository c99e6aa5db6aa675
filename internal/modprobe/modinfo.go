// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/getopt"
	"safeload/internal/modfile"
	"safeload/internal/modload"
	"safeload/internal/strerror"
	"safeload/kmod"
)

var modinfoOptions = []getopt.Option{
	{Name: "author", Val: 'a'},
	{Name: "description", Val: 'd'},
	{Name: "license", Val: 'l'},
	{Name: "parameters", Val: 'p'},
	{Name: "filename", Val: 'n'},
	{Name: "null", Val: '0'},
	{Name: "modname", Val: 'm'},
	{Name: "field", Arg: true, Val: 'F'},
	{Name: "set-version", Arg: true, Val: 'k'},
	{Name: "basedir", Arg: true, Val: 'b'},
	{Name: "version", Val: 'V'},
	{Name: "help", Val: 'h'},
}

// modinfo is the program modinfo.
type modinfo struct {
	*program
	field     string
	hasField  bool
	separator string
}

func (p *program) modinfo() bool {
	i := &modinfo{program: p, separator: "\n"}
	only := func(field string) { i.field, i.hasField = field, true }
	byName := false
	var tree treeChoice
	_, posix := p.vars.Get("POSIXLY_CORRECT")
	opts := getopt.Parser{Args: p.env.Args, Short: "adlpn0mF:k:b:Vh", Long: modinfoOptions, Posix: posix, Errs: printErr}
	for o := opts.Next(); o != getopt.End; o = opts.Next() {
		switch o {
		case 'a':
			only("author")
		case 'd':
			only("description")
		case 'l':
			only("license")
		case 'p':
			only("parm")
		case 'n':
			only("filename")
		case '0':
			i.separator = "\x00"
		case 'm':
			byName = true
		case 'F':
			only(opts.Arg)
		case 'k':
			tree.version, tree.versionSet, tree.dirSet = opts.Arg, true, true
		case 'b':
			tree.root, tree.dirSet = opts.Arg, true
		case 'h':
			p.out.print("Usage:\n\t", p.log.name, modinfoHelp)
			return true
		case 'V':
			p.printVersion()
			return true
		default:
			return false
		}
	}
	if len(opts.Operands) == 0 {
		p.log.err("missing module or filename.\n")
		return false
	}
	dir, ok := p.treeDir(&tree)
	if !ok {
		return false
	}
	p.load(dir)
	defer p.log.lib(kmod.LogInfo, "kmod_unref", "context 0x1 released\n")
	return p.each(opts.Operands, func(name string) error {
		defer p.Modules.Forget()
		switch {
		case byName:
			return i.byName(name)
		case isModuleFile(name):
			return i.byPath(name)
		}
		return i.byAlias(name)
	}) == nil
}

func isModuleFile(path string) bool {
	var st unix.Stat_t
	return kmod.ModuleExt(path) && unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

func (i *modinfo) byPath(path string) error {
	m, err := i.Modules.ByPath(path)
	if err != nil {
		i.log.err("Module file ", path, " not found.\n")
		return err
	}
	return i.print(m)
}

func (i *modinfo) byName(name string) error {
	m, err := i.Modules.LookupName(name)
	if err != nil {
		i.log.err("Module name ", name, " not found.\n")
		return syscall.ENOENT
	}
	return i.print(m)
}

func (i *modinfo) byAlias(name string) (err error) {
	list, err := i.Modules.Lookup(name)
	if err == kmod.ErrNotFound {
		i.log.err("Module ", name, " not found.\n")
		return syscall.ENOENT
	}
	if err != nil {
		i.log.err("Module alias ", name, " not found.\n")
		return err
	}
	for _, m := range list {
		if e := i.print(m); e != nil {
			err = e
		}
	}
	return err
}

// print prints one module.
func (i *modinfo) print(m *kmod.Module) error {
	path := m.Path()
	builtin := path == ""
	if builtin {
		path = "(builtin)"
		i.line("name", m.Name)
	}
	i.line("filename", path)
	if i.hasField && i.field == "filename" {
		return nil
	}
	list, err := i.info(m)
	if err != nil {
		if builtin && modload.Errno(err) == syscall.ENOENT {
			return nil // a tree without modules.builtin.modinfo
		}
		i.log.err("could not get modinfo from '", m.Name, "': ", strerror.Text(modload.Errno(err)), "\n")
		return err
	}
	var params paramList
	for _, l := range list {
		switch {
		case l.Key == "parm" || l.Key == "parmtype":
			if !i.hasField || i.field == "parm" {
				i.parameter(&params, l)
			} else if i.field == l.Key {
				i.out.print(l.Value, i.separator)
			}
		case i.hasField:
			if i.field == l.Key {
				i.out.print(l.Value, i.separator)
			}
		case i.separator == "\x00":
			i.out.print(l.Key, "=", l.Value, i.separator)
		default:
			i.line(l.Key, l.Value)
		}
	}
	i.parameters(params)
	return nil
}

// line prints "key:   value", or the value alone if only that field is asked
// for.
func (i *modinfo) line(key, value string) {
	if !i.hasField {
		i.out.print(pad(key+":", 16, false), value, i.separator)
	} else if i.field == key {
		i.out.print(value, i.separator)
	}
}

// info collects all that is known of a module.
func (i *modinfo) info(m *kmod.Module) ([]modfile.Info, error) {
	if m.Builtin() {
		data, opened, err := readRegular(i.Modules.Dir+"/modules.builtin.modinfo", maxModinfo)
		if err != nil {
			if opened {
				i.log.lib(kmod.LogErr, "get_strings", "get_strings: "+strerror.Text(modload.Errno(err))+"\n")
			}
			return nil, err
		}
		list, err := modfile.BuiltinInfo(data, m.Name)
		if err != nil {
			i.log.lib(kmod.LogErr, "get_strings", "get_strings: unexpected string without modname prefix\n")
		}
		return list, err
	}
	f, err := i.open(m)
	if err != nil {
		return nil, err
	}
	list, err := f.Info()
	if err != nil {
		return nil, err
	}
	if id, err := f.BuildID(); err == nil {
		list = append(list, modfile.Info{Key: "build-id", Value: hexBytes(id)})
	}
	if s := f.Signature(); s != nil {
		list = append(list,
			modfile.Info{Key: "sig_id", Value: s.IDType},
			modfile.Info{Key: "signer", Value: s.Signer},
			modfile.Info{Key: "sig_key", Value: hexBytes(s.KeyID)},
			modfile.Info{Key: "sig_hashalgo", Value: s.Hash},
			modfile.Info{Key: "signature", Value: hexBytes(s.Data)})
	}
	return list, nil
}

// hexBytes prints bytes as 0A:1B:…, twenty in a line.
func hexBytes(b []byte) string {
	const digits = "0123456789ABCDEF"
	var out []byte
	for i, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
		if i < len(b)-1 {
			out = append(out, ':')
			if (i+1)%20 == 0 {
				out = append(out, "\n\t\t"...)
			}
		}
	}
	return string(out)
}

// param is a parameter, of which a module's file says the description and the
// type apart.
type param struct {
	name, text, kind string
	hasText, hasKind bool
}

type paramList []param

func (i *modinfo) parameter(params *paramList, l modfile.Info) {
	colon := 0
	for colon < len(l.Value) && l.Value[colon] != ':' {
		colon++
	}
	if colon == len(l.Value) {
		i.log.err("Found invalid \"", l.Key, "=", l.Value, "\": missing ':'\n")
		return
	}
	name, value := l.Value[:colon], l.Value[colon+1:]
	at := -1
	for j := range *params {
		if (*params)[j].name == name {
			at = j
			break
		}
	}
	if at < 0 {
		at = len(*params)
		*params = append(*params, param{name: name})
	}
	p := &(*params)[at]
	if l.Key == "parm" {
		p.text, p.hasText = value, true
	} else {
		p.kind, p.hasKind = value, true
	}
}

// parameters prints them, the last found first.
func (i *modinfo) parameters(params paramList) {
	head := pad("parm:", 16, false)
	if i.hasField {
		head = ""
	}
	for j := len(params) - 1; j >= 0; j-- {
		p := &params[j]
		switch {
		case !p.hasText && i.hasField:
			i.out.print(p.name, ": (", p.kind, ")", i.separator)
		case !p.hasText:
			i.out.print(head, p.name, ":", p.kind, i.separator)
		case p.hasKind:
			i.out.print(head, p.name, ":", p.text, " (", p.kind, ")", i.separator)
		default:
			i.out.print(head, p.name, ":", p.text, i.separator)
		}
	}
}

const modinfoHelp = ` [options] <modulename|filename> [args]
Options:
	-a, --author                Print only 'author'
	-d, --description           Print only 'description'
	-l, --license               Print only 'license'
	-p, --parameters            Print only 'parm'
	-n, --filename              Print only 'filename'
	-0, --null                  Use \0 instead of \n
	-m, --modname               Handle argument as module name instead of alias or filename
	-F, --field FIELD           Print only provided FIELD
	-k, --set-version VERSION   Use VERSION instead of $(uname -r)
	-b, --basedir DIR           Use DIR as filesystem root for /lib/modules
	-V, --version               Show version
	-h, --help                  Show this help
`
