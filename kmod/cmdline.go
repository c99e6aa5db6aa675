// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
)

// maxCmdline is how much of /proc/cmdline libkmod reads.
const maxCmdline = 4095

// readCmdline takes in the kernel's command line, if there is one.
func (c *Config) readCmdline(path string, log LogFunc) {
	fd, err := c.scratch.open(path, 0)
	if err != nil {
		return
	}
	buf := c.scratch.keep(maxCmdline)
	n, err := readFull(fd, buf)
	unix.Close(fd)
	if err != nil {
		log(LogErr, "kmod_config_parse_kcmdline",
			"could not read from '"+path+"': "+text(err)+"\n")
		return
	}
	c.parseCmdline(bstr(buf[:n]), log)
}

type cmdlineState int

const (
	inName cmdlineState = iota
	inParam
	inValue
	ignored
)

// parseCmdline adds the "module.parameter=value" and "modprobe.blacklist=a,b"
// of the kernel's command line. line is kept.
//
// Quotes may enclose the value, or the whole word as some boot loaders write
// it; in a whole word the quote is moved to where the value begins.
func (c *Config) parseCmdline(line string, log LogFunc) {
	for i := 0; i < len(line); i++ {
		if line[i] == 0 {
			line = line[:i]
			break
		}
	}
	state, quoted, quotedWord := inName, false, false
	name, param, value := 0, 0, 0
	for p := 0; p <= len(line); p++ {
		ch := syntax.At(line, p)
		switch {
		case ch == '"':
			quoted = !quoted
			if quoted && state == inName && p == name {
				quotedWord, name = true, p+1
			} else if state != inValue {
				state = ignored
			}
		case ch == 0 || syntax.IsSpace(ch):
			if quoted {
				// Blanks are allowed in the value only.
				if state != inValue {
					state = ignored
				}
				continue
			}
			if state == inParam || state == inValue {
				word := line[param:p]
				if quotedWord {
					word = line[param:value] + `"` + line[value:p]
				}
				c.cmdlineOption(line[name:param-1], word, log)
			}
			name, state, quotedWord = p+1, inName, false
		case ch == '.':
			switch state {
			case inName:
				param, state = p+1, inParam
			case inParam:
				state = ignored
			}
		case ch == '=':
			switch state {
			case inParam:
				value, state = p+1, inValue
			case inName:
				state = ignored
			}
		}
	}
}

func (c *Config) cmdlineOption(module, param string, log LogFunc) {
	const blacklist = "blacklist="
	if module == "modprobe" && len(param) >= len(blacklist) && param[:len(blacklist)] == blacklist {
		names := param[len(blacklist):]
		start := 0
		for i := 0; i <= len(names); i++ {
			if i == len(names) || names[i] == ',' {
				c.Blacklist = append(c.Blacklist, names[start:i])
				start = i + 1
			}
		}
		return
	}
	norm, ok := c.scratch.underscores(module)
	if !ok {
		log(LogErr, "kcmdline_parse_result",
			"Ignoring bad option on kernel command line while parsing module name: '"+norm+"'\n")
		return
	}
	c.addOptions(norm, param)
}
