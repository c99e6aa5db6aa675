// SPDX-License-Identifier: Apache-2.0

package modprobe

// longOption is an entry of getopt_long(3).
type longOption struct {
	name string
	arg  bool
	val  rune
}

// getopt walks over arguments as glibc's getopt_long(3) does, moving what is
// no option behind the options, with its messages.
type getopt struct {
	args  []string // args[0] is the program
	short string   // as for getopt(3): a letter, with ':' if it takes an argument
	long  []longOption
	errs  func(msg string)
	// posix stops at the first word that is no option: POSIXLY_CORRECT.
	posix bool

	// Arg is the argument of the option that next returned.
	Arg string

	rest     string // letters left of a group
	at       int    // next word
	operands []string
	done     bool
}

const (
	optEnd = -1
	optBad = '?'
)

// next returns the value of the next option, optBad after a message, optEnd at
// the end.
func (g *getopt) next() rune {
	if g.at == 0 {
		g.at = 1
	}
	g.Arg = ""
	if g.rest != "" {
		return g.letter()
	}
	for ; g.at < len(g.args); g.at++ {
		a := g.args[g.at]
		if a == "--" {
			g.at++
			break
		}
		if len(a) > 1 && a[0] == '-' {
			g.at++
			if a[1] == '-' {
				return g.word(a[2:])
			}
			g.rest = a[1:]
			return g.letter()
		}
		if g.posix {
			break
		}
		g.operands = append(g.operands, a)
	}
	if !g.done {
		g.done = true
		g.operands = append(g.operands, g.args[g.at:]...)
	}
	return optEnd
}

func (g *getopt) letter() rune {
	c := g.rest[0]
	g.rest = g.rest[1:]
	i := 0
	for i < len(g.short) && g.short[i] != c {
		i++
	}
	if i == len(g.short) || c == ':' || c == ';' {
		g.errs(g.args[0] + ": invalid option -- '" + string([]byte{c}) + "'\n")
		return optBad
	}
	if i+1 < len(g.short) && g.short[i+1] == ':' {
		switch {
		case g.rest != "":
			g.Arg, g.rest = g.rest, ""
		case g.at < len(g.args):
			g.Arg = g.args[g.at]
			g.at++
		default:
			g.errs(g.args[0] + ": option requires an argument -- '" + string([]byte{c}) + "'\n")
			return optBad
		}
	}
	return rune(c)
}

// word handles "--name" or "--name=value", of which text is what follows the
// dashes.
func (g *getopt) word(text string) rune {
	name, value, hasValue := text, "", false
	for i := 0; i < len(text); i++ {
		if text[i] == '=' {
			name, value, hasValue = text[:i], text[i+1:], true
			break
		}
	}
	var found *longOption
	ambiguous := false
	for i := range g.long {
		if g.long[i].name == name {
			found, ambiguous = &g.long[i], false
			break
		}
		if !hasPrefix(g.long[i].name, name) {
			continue
		}
		if found == nil {
			found = &g.long[i]
		} else if found.arg != g.long[i].arg || found.val != g.long[i].val {
			ambiguous = true
		}
	}
	if ambiguous {
		msg := g.args[0] + ": option '--" + text + "' is ambiguous; possibilities:"
		for i := range g.long {
			o := &g.long[i]
			if o == found || hasPrefix(o.name, name) && (o.arg != found.arg || o.val != found.val) {
				msg += " '--" + o.name + "'"
			}
		}
		g.errs(msg + "\n")
		return optBad
	}
	switch {
	case found == nil:
		g.errs(g.args[0] + ": unrecognized option '--" + text + "'\n")
		return optBad
	case hasValue && !found.arg:
		g.errs(g.args[0] + ": option '--" + found.name + "' doesn't allow an argument\n")
		return optBad
	case hasValue:
		g.Arg = value
	case found.arg && g.at < len(g.args):
		g.Arg = g.args[g.at]
		g.at++
	case found.arg:
		g.errs(g.args[0] + ": option '--" + found.name + "' requires an argument\n")
		return optBad
	}
	return found.val
}

func hasPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && s[:len(prefix)] == prefix
}
