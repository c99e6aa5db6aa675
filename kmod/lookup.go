// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// The second step of a load: a name or a path to modules. Before it
// internal/modprobe/insert.go has taken the name from the arguments; after it plan.go
// says what each module needs.

// ErrNotFound is the error of a lookup for a name that stands for nothing.
// [errors.Is] finds ENOENT in it.
const ErrNotFound = notFound("no such module")

type notFound string

func (e notFound) Error() string { return string(e) }

func (notFound) Is(target error) bool { return target == syscall.ENOENT }

// Lookup returns the modules that a name or alias stands for. The first of
// these that knows the name decides: alias lines of the configuration,
// modules.dep, modules.symbols for symbol:…, install and remove commands,
// modules.alias, modules.builtin, modules.builtin.alias.
//
// Errors are [ErrNotFound], EINVAL for a name with unpaired brackets and
// ENAMETOOLONG.
func (c *Context) Lookup(name string) ([]*Module, error) {
	list, err := c.find(name)
	if err == nil && list == nil {
		err = ErrNotFound
	}
	return list, err
}

// find is Lookup, but what is not found is no error.
func (c *Context) find(name string) ([]*Module, error) {
	alias, err := NormalizeAlias(name)
	if err != nil {
		return nil, err
	}
	for _, step := range [...]func(*Context, string) ([]*Module, error){
		(*Context).fromConfig,
		(*Context).fromDep,
		(*Context).fromSymbols,
		(*Context).fromCommands,
		(*Context).fromAliases,
		(*Context).fromBuiltin,
		(*Context).fromBuiltinAliases,
	} {
		if list, err := step(c, alias); err != nil || list != nil {
			return list, err
		}
	}
	return nil, nil
}

// LookupName is Lookup for what is known to be a module's own name, with the
// same errors.
func (c *Context) LookupName(name string) (*Module, error) {
	name = NormalizeName(name)
	for _, step := range [...]func(*Context, string) ([]*Module, error){
		(*Context).fromDep,
		(*Context).fromBuiltin,
		(*Context).fromBuiltinAliases,
	} {
		if list, err := step(c, name); err != nil || list != nil {
			if err != nil {
				return nil, err
			}
			return list[0], nil
		}
	}
	return nil, ErrNotFound
}

func (c *Context) fromConfig(name string) (list []*Module, err error) {
	for _, a := range c.Config.Aliases {
		if !Fnmatch(a.Name, name) {
			continue
		}
		m, err := c.byAlias(a.Name, a.Value)
		if err != nil {
			c.Log(LogErr, "kmod_lookup_alias_from_config", "Could not create module for alias="+
				name+" modname="+a.Value+": "+text(err)+"\n")
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func (c *Context) fromDep(name string) ([]*Module, error) {
	for i := 0; i < len(name); i++ {
		if name[i] == ':' {
			return nil, nil // no module has such a name
		}
	}
	line, ok := c.search(indexDep, name)
	if !ok {
		return nil, nil
	}
	m := c.ByName(name)
	m.parseDeps(line)
	return []*Module{m}, nil
}

func (c *Context) fromSymbols(name string) ([]*Module, error) {
	const prefix = "symbol:"
	if len(name) < len(prefix) || name[:len(prefix)] != prefix {
		return nil, nil
	}
	return c.fromIndex(indexSymbol, name)
}

// fromCommands finds a module that only a command of the configuration knows.
func (c *Context) fromCommands(name string) ([]*Module, error) {
	for _, d := range c.Config.Install {
		if d.Name == name {
			m := c.ByName(name)
			m.install = command{d.Value, true, true}
			return []*Module{m}, nil
		}
	}
	for _, d := range c.Config.Remove {
		if d.Name == name {
			m := c.ByName(name)
			m.remove = command{d.Value, true, true}
			return []*Module{m}, nil
		}
	}
	return nil, nil
}

func (c *Context) fromAliases(name string) ([]*Module, error) {
	return c.fromIndex(indexAlias, name)
}

func (c *Context) fromBuiltin(name string) ([]*Module, error) {
	if _, ok := c.search(indexBuiltin, name); !ok {
		return nil, nil
	}
	m := c.ByName(name)
	m.setBuiltin()
	return []*Module{m}, nil
}

func (c *Context) fromBuiltinAliases(name string) ([]*Module, error) {
	list, err := c.fromIndex(indexBuiltinAlias, name)
	for _, m := range list {
		m.setBuiltin()
	}
	return list, err
}

func (c *Context) fromIndex(kind indexKind, name string) (list []*Module, err error) {
	ix := c.indexWith(kind, &request{key: name, wild: true})
	if ix == nil {
		return nil, nil
	}
	for _, target := range ix.SearchWild(name) {
		m, err := c.byAlias(name, target)
		if err != nil {
			c.Log(LogErr, "kmod_lookup_alias_from_alias_bin", "Could not create module for alias="+
				name+" realname="+target+": "+text(err)+"\n")
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func (c *Context) lookupAll(names []string) (found []*Module) {
	for _, name := range names {
		list, err := c.find(name)
		if err != nil {
			c.Log(LogErr, "lookup_dep", "failed to lookup dependency '"+name+"', continuing anyway.\n")
			continue
		}
		found = append(found, list...)
	}
	return found
}

// ByPath returns the module in the file at path, which must exist: errors are
// those of stat(2), ENOENT if path has no file name, and EEXIST if the module
// is already known at another path.
func (c *Context) ByPath(path string) (*Module, error) {
	abs := path
	if path == "" || path[0] != '/' {
		cwd, err := Cwd(c.environ)
		if err != nil {
			return nil, syscall.ENOMEM // as libkmod
		}
		abs = cwd + "/" + path
	}
	var st unix.Stat_t
	if err := unix.Stat(abs, &st); err != nil {
		return nil, err
	}
	file := base(path)
	if file == "" {
		return nil, syscall.ENOENT
	}
	m := c.ByName(file)
	if m.path == "" {
		m.path = abs
	} else if m.path != abs {
		c.Log(LogErr, "kmod_module_new_from_path", "kmod_module '"+m.Name+
			"' already exists with different path: new-path='"+abs+"' old-path='"+m.path+"'\n")
		return nil, syscall.EEXIST
	}
	m.builtin, m.builtinKnown = false, true
	return m, nil
}
