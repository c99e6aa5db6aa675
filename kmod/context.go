// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"safeload/internal/strerror"
	"strconv"
)

// Options say which tree and configuration to use.
type Options struct {
	// Dir is the module tree, such as /lib/modules/6.12.0.
	Dir string
	// ConfigPaths are read instead of [ConfigDirs] if not nil. Each may be a
	// directory or a file.
	ConfigPaths []string
	// NoConfig reads no configuration at all but the tree's own dependency
	// lists and the kernel's command line, as insmod(8) and its like do.
	NoConfig bool
	// Cmdline is the file with the kernel's command line, /proc/cmdline if
	// empty. For the tree of another machine it should be that machine's, or
	// /dev/null.
	Cmdline string
	// Log receives what libkmod would print. May be nil.
	Log LogFunc
}

// Context holds a module tree and its configuration.
type Context struct {
	Dir    string
	Config *Config
	Log    LogFunc

	indexes [indexKinds]*Index
	tried   [indexKinds]bool
	// Modules known so far. One name is one *Module, an alias of it another.
	pool []*Module
}

type indexKind int

const (
	indexDep indexKind = iota
	indexAlias
	indexSymbol
	indexBuiltinAlias
	indexBuiltin
	indexKinds
)

var indexFiles = [indexKinds]string{
	"modules.dep.bin",
	"modules.alias.bin",
	"modules.symbols.bin",
	"modules.builtin.alias.bin",
	"modules.builtin.bin",
}

// New reads the configuration. Nothing that is missing is an error: a tree
// without indexes knows no modules.
func New(o Options) *Context {
	c := &Context{Dir: o.Dir, Log: o.Log}
	if c.Log == nil {
		c.Log = func(int, string, string) {}
	}
	paths := o.ConfigPaths
	if paths == nil && !o.NoConfig {
		paths = ConfigDirs[:]
	}
	c.Config = readConfig(o.Dir, paths, c.Log)
	if o.Cmdline == "" {
		o.Cmdline = "/proc/cmdline"
	}
	c.Config.readCmdline(o.Cmdline, c.Log)
	c.Log(LogInfo, "kmod_new", "ctx 0x1 created\n")
	return c
}

// Forget drops what is known of single modules, so that the next request
// looks at everything anew.
func (c *Context) Forget() { c.pool = nil }

// index maps an index at its first use; nil if it cannot be used.
func (c *Context) index(kind indexKind) *Index {
	if c.tried[kind] {
		return c.indexes[kind]
	}
	c.tried[kind] = true
	path := c.Dir + "/" + indexFiles[kind]
	if len(path) > maxName {
		return nil
	}
	ix, err := OpenIndex(path)
	if err == nil {
		c.indexes[kind] = ix
		return ix
	}
	if bad, ok := err.(*BadIndexError); ok {
		switch bad.What {
		case "magic":
			c.Log(LogErr, "index_mm_open", "magic check fail: "+strconv.FormatUint(uint64(bad.Got), 16)+
				" instead of "+strconv.FormatUint(uint64(bad.Want), 16)+"\n")
		case "version":
			c.Log(LogErr, "index_mm_open", "major version check fail: "+strconv.Itoa(int(bad.Got))+
				" instead of "+strconv.Itoa(int(bad.Want))+"\n")
		}
	}
	return nil
}

func (c *Context) search(kind indexKind, key string) (string, bool) {
	if ix := c.index(kind); ix != nil {
		return ix.Search(key)
	}
	return "", false
}

// DumpAliases calls f for each line of the aliases, then of the symbols, as
// "modprobe --show-config" prints them.
func (c *Context) DumpAliases(f func(key []byte, module string)) {
	for _, kind := range [...]indexKind{indexAlias, indexSymbol} {
		if ix := c.index(kind); ix != nil {
			ix.Dump(f)
		}
	}
}

// text is strerror(3) of an error that is an errno.
func text(err error) string { return strerror.Text(Errno(err)) }
