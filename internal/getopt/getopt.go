// SPDX-License-Identifier: Apache-2.0

// Package getopt is getopt_long(3) of glibc, with its messages.
package getopt

import "strings"

// Option is an entry of getopt_long(3).
type Option struct {
	Name string
	Arg  bool
	Val  rune
}

// Parser walks over arguments as glibc's getopt_long(3) does, moving what is
// no option behind the options, with its messages.
type Parser struct {
	Args  []string // Args[0] is the program
	Short string   // as for getopt(3): a letter, with ':' if it takes an argument
	Long  []Option
	Errs  func(msg string)
	// Posix stops at the first word that is no option: POSIXLY_CORRECT.
	Posix bool

	// Arg is the argument of the option that Next returned.
	Arg string

	rest string // letters left of a group
	at   int    // next word
	// Operands are the words that are no options, at the end.
	Operands []string
	done     bool
}

const (
	End = -1  // no more options
	Bad = '?' // a message has been given
)

// Next returns the value of the next option, Bad after a message, End at
// the end.
func (g *Parser) Next() rune {
	if g.at == 0 {
		g.at = 1
	}
	g.Arg = ""
	if g.rest != "" {
		return g.letter()
	}
	for ; g.at < len(g.Args); g.at++ {
		a := g.Args[g.at]
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
		if g.Posix {
			break
		}
		g.Operands = append(g.Operands, a)
	}
	if !g.done {
		g.done = true
		g.Operands = append(g.Operands, g.Args[g.at:]...)
	}
	return End
}

func (g *Parser) letter() rune {
	c := g.rest[0]
	g.rest = g.rest[1:]
	i := 0
	for i < len(g.Short) && g.Short[i] != c {
		i++
	}
	if i == len(g.Short) || c == ':' || c == ';' {
		g.Errs(g.Args[0] + ": invalid option -- '" + string([]byte{c}) + "'\n")
		return Bad
	}
	if i+1 < len(g.Short) && g.Short[i+1] == ':' {
		switch {
		case g.rest != "":
			g.Arg, g.rest = g.rest, ""
		case g.at < len(g.Args):
			g.Arg = g.Args[g.at]
			g.at++
		default:
			g.Errs(g.Args[0] + ": option requires an argument -- '" + string([]byte{c}) + "'\n")
			return Bad
		}
	}
	return rune(c)
}

// word handles "--name" or "--name=value", of which text is what follows the
// dashes.
func (g *Parser) word(text string) rune {
	name, value, hasValue := text, "", false
	for i := 0; i < len(text); i++ {
		if text[i] == '=' {
			name, value, hasValue = text[:i], text[i+1:], true
			break
		}
	}
	var found *Option
	ambiguous := false
	for i := range g.Long {
		if g.Long[i].Name == name {
			found, ambiguous = &g.Long[i], false
			break
		}
		if !strings.HasPrefix(g.Long[i].Name, name) {
			continue
		}
		if found == nil {
			found = &g.Long[i]
		} else if found.Arg != g.Long[i].Arg || found.Val != g.Long[i].Val {
			ambiguous = true
		}
	}
	if ambiguous {
		msg := g.Args[0] + ": option '--" + text + "' is ambiguous; possibilities:"
		for i := range g.Long {
			o := &g.Long[i]
			if o == found || strings.HasPrefix(o.Name, name) && (o.Arg != found.Arg || o.Val != found.Val) {
				msg += " '--" + o.Name + "'"
			}
		}
		g.Errs(msg + "\n")
		return Bad
	}
	switch {
	case found == nil:
		g.Errs(g.Args[0] + ": unrecognized option '--" + text + "'\n")
		return Bad
	case hasValue && !found.Arg:
		g.Errs(g.Args[0] + ": option '--" + found.Name + "' doesn't allow an argument\n")
		return Bad
	case hasValue:
		g.Arg = value
	case found.Arg && g.at < len(g.Args):
		g.Arg = g.Args[g.at]
		g.at++
	case found.Arg:
		g.Errs(g.Args[0] + ": option '--" + found.Name + "' requires an argument\n")
		return Bad
	}
	return found.Val
}
