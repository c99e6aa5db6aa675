// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"strconv"
	"syscall"

	"safeload/internal/strerror"
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
	// Regular reads regular files alone, in the tree and in directories of the
	// configuration, for a stranger's tree. libkmod also reads a pipe or a device,
	// until its end.
	Regular bool
	// Environ is the environment. Only $PWD is used: see [Cwd].
	Environ []string
	// Log receives what libkmod would print. May be nil.
	Log LogFunc
}

// Context holds a module tree and its configuration. It must not be copied, and
// one goroutine at a time may use it; several Contexts share nothing.
type Context struct {
	Dir    string
	Config *Config
	Log    LogFunc

	environ []string
	indexes [indexKinds]*Index
	tried   [indexKinds]bool
	asked   [indexKinds]int // for names that it lacked, while it was not mapped
	config  Config
	// Modules known so far: in pool if they are few, else in byKey. One name is
	// one *Module, an alias of it another.
	pool  []*Module
	byKey map[poolKey]*Module
	plan  int // the number of the last plan

	scratch scratch
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

// New is [Context.Init] of a new Context.
func New(o Options) *Context {
	c := new(Context)
	c.Init(o)
	return c
}

// Init makes c, which must be zero, a Context, and reads the configuration.
// Nothing that is missing is an error: a tree without indexes knows no modules.
//
// It exists beside [New] for a program that needs one Context and counts page
// faults: a Context of static memory costs no heap.
func (c *Context) Init(o Options) {
	c.Dir, c.Log, c.Config, c.environ = o.Dir, o.Log, &c.config, o.Environ
	c.config.scratch = &c.scratch
	if c.Log == nil {
		c.Log = func(int, string, string) {}
	}
	paths := o.ConfigPaths
	if paths == nil && !o.NoConfig {
		paths = ConfigDirs[:]
	}
	c.Config.read(o.Dir, paths, o.Regular, c.Log)
	if o.Cmdline == "" {
		o.Cmdline = "/proc/cmdline"
	}
	c.Config.readCmdline(o.Cmdline, c.Log)
	c.Log(LogInfo, "kmod_new", "ctx 0x1 created\n")
}

// Clone returns a Context with the configuration and the indexes of c and no modules
// yet. Clones share only what does not change, so that each may be used by a
// goroutine of its own. c itself may then only be cloned, by one goroutine at a time.
func (c *Context) Clone() *Context {
	for kind := range indexKinds {
		c.index(kind)
	}
	return &Context{Dir: c.Dir, Config: c.Config, Log: c.Log, environ: c.environ, indexes: c.indexes, tried: c.tried}
}

// Close unmaps the indexes. Do not use any string or module of c or its clones after
// it. A program that ends need not call Close.
func (c *Context) Close() {
	for kind, ix := range c.indexes {
		if ix != nil {
			ix.unmap()
		}
		c.indexes[kind], c.tried[kind] = nil, true
	}
	c.Forget()
}

// Forget drops all modules, so that the next request finds out everything anew.
func (c *Context) Forget() { c.pool, c.byKey = nil, nil }

// index maps an index at its first use; nil if it cannot be used.
func (c *Context) index(kind indexKind) *Index { return c.indexWith(kind, nil) }

// indexWith is index, but returns nil if the request needs no mapping: the index has
// nothing for it, or r holds the answer already.
func (c *Context) indexWith(kind indexKind, r *request) *Index {
	if c.tried[kind] {
		return c.indexes[kind]
	}
	if len(c.Dir)+len("/")+len(indexFiles[kind]) > maxName {
		return nil
	}
	// After several requests the mapping is cheaper.
	const seldom = 4
	if c.asked[kind]++; c.asked[kind] > seldom {
		r = nil
	}
	ix, err := openIndex(&c.scratch, c.Dir, indexFiles[kind], r)
	if ix == nil && err == nil {
		return nil
	}
	c.tried[kind] = true
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
	r := request{key: key}
	if ix := c.indexWith(kind, &r); ix != nil {
		return ix.Search(key)
	}
	return r.value, r.found
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

// text is strerror(3) of an error that is an errno, of EINVAL for another.
func text(err error) string {
	e, ok := err.(syscall.Errno)
	if !ok {
		e = syscall.EINVAL
	}
	return strerror.Text(e)
}
