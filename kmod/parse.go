// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"strconv"
	"unsafe"

	"safeload/internal/syntax"
)

// word is [syntax.Word] of a string.
func word(s string) (w, rest string) {
	a, b := syntax.Word(unsafe.Slice(unsafe.StringData(s), len(s)))
	return bstr(a), bstr(b)
}

// parse adds the directives of one file to the configuration. data is kept
// and changed.
func (c *Config) parse(f *confFile, data []byte, log LogFunc) {
	r := syntax.Lines{Data: data}
	for {
		line, ok := r.Next()
		if !ok {
			return
		}
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		cmd, rest := word(bstr(line))
		if cmd == "" {
			continue
		}
		switch cmd {
		case "include", "config":
			log(LogErr, "kmod_config_parse",
				f.path()+": command "+cmd+" is deprecated and not parsed anymore\n")
			continue
		}
		if !c.directive(cmd, rest) {
			log(LogErr, "kmod_config_parse",
				f.path()+" line "+strconv.Itoa(r.Count)+": ignoring bad line starting with '"+cmd+"'\n")
		}
	}
}

func (c *Config) directive(cmd, rest string) (ok bool) {
	name, rest := word(rest)
	if name == "" {
		return false
	}
	if name, ok = c.scratch.underscores(name); !ok {
		return false
	}
	switch cmd {
	case "alias":
		target, _ := word(rest)
		if target == "" {
			return false
		}
		if target, ok = c.scratch.underscores(target); !ok {
			return false
		}
		c.Aliases = add(c.Aliases, Directive{name, target})
		return true
	case "blacklist":
		c.Blacklist = append(c.Blacklist, name)
		return true
	}
	if rest == "" {
		return false
	}
	switch cmd {
	case "options":
		c.addOptions(name, rest)
	case "install":
		c.Install = add(c.Install, Directive{name, rest})
	case "remove":
		c.Remove = add(c.Remove, Directive{name, rest})
	case "softdep":
		c.Softdeps = add(c.Softdeps, Directive{name, rest})
	case "weakdep":
		c.Weakdeps = add(c.Weakdeps, Directive{name, rest})
	default:
		return false
	}
	return true
}

// add appends, and makes room for some more at the first call: each size that a
// growing slice has costs a span of the heap.
func add(list []Directive, d Directive) []Directive {
	if list == nil {
		list = make([]Directive, 0, 16)
	}
	return append(list, d)
}

func (c *Config) addOptions(name, value string) {
	for i := 0; i < len(value); i++ {
		if value[i] == '\t' {
			b := []byte(value)
			for j := i; j < len(b); j++ {
				if b[j] == '\t' {
					b[j] = ' '
				}
			}
			value = bstr(b)
			break
		}
	}
	c.Options = add(c.Options, Directive{name, value})
}

// Softdep is what a softdep line says of a module.
type Softdep struct {
	Pre, Post []string
}

// ParseSoftdep splits the text after the module's name in a softdep line.
func ParseSoftdep(text string) (d Softdep) {
	var list *[]string
	depWords(text, func(w string) {
		switch {
		case w == "pre:":
			list = &d.Pre
		case w == "post:":
			list = &d.Post
		case list != nil:
			*list = append(*list, w)
		}
	})
	return d
}

// ParseWeakdep splits the text after the module's name in a weakdep line.
func ParseWeakdep(text string) (names []string) {
	depWords(text, func(w string) { names = append(names, w) })
	return names
}

// depWords calls f for the words of text as libkmod cuts them: a single blank
// before the first word belongs to it.
func depWords(text string, f func(string)) {
	p, wasSpace := 0, false
	for s := 0; s < len(text); s++ {
		if !syntax.IsSpace(text[s]) {
			wasSpace = false
			continue
		}
		if wasSpace {
			p = s + 1
			continue
		}
		wasSpace = true
		if p < s {
			f(text[p:s])
			p = s + 1
		}
	}
	if !wasSpace {
		f(text[p:])
	}
}
