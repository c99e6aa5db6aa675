// SPDX-License-Identifier: Apache-2.0

package kmod

import "strconv"

// lineReader splits a file of modprobe.d into logical lines as libkmod's
// freadline_wrapped does: a backslash before the end of the line joins it with
// the next one, and before anything else it is dropped.
type lineReader struct {
	rest []byte
	// Physical lines read so far.
	lines int
}

// next returns a logical line without its end, up to the first NUL. It is
// valid as long as the buffer that it was read from.
func (r *lineReader) next() (line string, ok bool) {
	if len(r.rest) == 0 {
		return "", false
	}
	// Most lines hold neither a backslash nor a NUL and are used in place.
	end := len(r.rest)
	for i, c := range r.rest {
		if c > '\\' {
			continue
		}
		switch c {
		case '\n':
			r.lines++
			line, r.rest = bstr(r.rest[:min(i, end)]), r.rest[i+1:]
			return line, true
		case '\\':
			return r.wrapped(i)
		case 0:
			end = min(i, end)
		}
	}
	r.lines++
	line, r.rest = bstr(r.rest[:end]), nil
	return line, true
}

// wrapped continues next at the first backslash, in place: what is written is
// never ahead of what is read.
func (r *lineReader) wrapped(i int) (line string, ok bool) {
	b := r.rest
	out := b[:i]
	for ; i < len(b); i++ {
		c := b[i]
		if c == '\n' {
			r.lines++
			r.rest = b[i+1:]
			return untilNUL(out), true
		}
		if c == '\\' {
			if i++; i == len(b) {
				break
			}
			if b[i] == '\n' {
				r.lines++
				continue
			}
			c = b[i]
		}
		out = append(out, c)
	}
	r.rest = nil
	if len(out) == 0 {
		return "", false
	}
	r.lines++
	return untilNUL(out), true
}

func untilNUL(b []byte) string {
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	return bstr(b)
}

// word takes the next word of s. Exactly one blank after it is dropped, so
// that rest is what strtok_r(3) leaves.
func word(s string) (w, rest string) {
	i := 0
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	j := i
	for j < len(s) && s[j] != ' ' && s[j] != '\t' {
		j++
	}
	if j == len(s) {
		return s[i:], ""
	}
	return s[i:j], s[j+1:]
}

// parse adds the directives of one file to the configuration. data is kept
// and changed.
func (c *Config) parse(f *confFile, data []byte, log LogFunc) {
	r := lineReader{rest: data}
	for {
		line, ok := r.next()
		if !ok {
			return
		}
		if line == "" || line[0] == '#' {
			continue
		}
		cmd, rest := word(line)
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
				f.path()+" line "+strconv.Itoa(r.lines)+": ignoring bad line starting with '"+cmd+"'\n")
		}
	}
}

func (c *Config) directive(cmd, rest string) (ok bool) {
	name, rest := word(rest)
	if name == "" {
		return false
	}
	if name, ok = underscores(name); !ok {
		return false
	}
	switch cmd {
	case "alias":
		target, _ := word(rest)
		if target == "" {
			return false
		}
		if target, ok = underscores(target); !ok {
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

// add appends, with room for some more from the start: see buffer.
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
		if !isSpace(text[s]) {
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
