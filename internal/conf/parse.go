// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"strconv"
	"strings"
	"time"
)

// parse takes in one file: a directive a line, '#' comments, a backslash at a
// line's end joining it with the next, as in modprobe.d(5). The last word on a
// setting counts.
func (s *Settings) parse(path, text string, warn WarnFunc) {
	number := 0
	for len(text) > 0 {
		var line string
		first := number + 1
		for {
			var part string
			part, text, _ = strings.Cut(text, "\n")
			number++
			if len(part) == 0 || part[len(part)-1] != '\\' || text == "" {
				line += part
				break
			}
			line += part[:len(part)-1] + " "
		}
		words := strings.FieldsFunc(line, blank)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if why := s.set(words[0], words[1:]); why != "" {
			warn(path + ":" + strconv.Itoa(first) + ": " + why)
		}
	}
}

// cmdline takes in the kernel's command line. Words with a dot before the "="
// are parameters of a module to the kernel, which ignores those of modules
// that it does not have (unknown_bootoption in init/main.c).
func (s *Settings) cmdline(line string, warn WarnFunc) {
	const prefix = "safeload."
	for _, w := range strings.FieldsFunc(line, blank) {
		if len(w) <= len(prefix) || w[:len(prefix)] != prefix {
			continue
		}
		key, value, _ := strings.Cut(w[len(prefix):], "=")
		if why := s.set(key, split(value)); why != "" {
			warn("kernel command line: " + why)
		}
	}
}

// set returns what is wrong, or "".
func (s *Settings) set(key string, values []string) string {
	switch key {
	case "exempt":
		if len(values) == 0 {
			return "exempt: module names wanted"
		}
		for _, v := range values {
			if v != "" && len(s.Exempt) < maxExempt {
				s.Exempt = append(s.Exempt, v)
			}
		}
		return ""
	case "patience", "policy":
	default:
		return "unknown directive " + show(key)
	}
	if len(values) != 1 {
		return key + ": one value wanted"
	}
	if key == "policy" {
		for i, name := range policies {
			if values[0] == name {
				s.Policy = Policy(i)
				return ""
			}
		}
		return "policy: refuse, bold, proven, observe or off wanted, not " + show(values[0])
	}
	d, ok := duration(values[0])
	if !ok {
		return "patience: a time such as 10s, 500ms or 2m up to 60m wanted (0 never refuses on suspicion), not " + show(values[0])
	}
	s.Patience = d
	return ""
}

const maxExempt = 256

// duration reads a whole number with a unit; none means seconds.
func duration(s string) (time.Duration, bool) {
	var n time.Duration
	i := 0
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		if n = n*10 + time.Duration(s[i]-'0'); n > 1e9 {
			return 0, false
		}
	}
	if i == 0 {
		return 0, false
	}
	switch s[i:] {
	case "", "s":
		n *= time.Second
	case "ms":
		n *= time.Millisecond
	case "m", "min":
		n *= time.Minute
	default:
		return 0, false
	}
	return n, n <= MaxPatience
}

// show makes a word of a file fit for a log line.
func show(s string) string {
	b := make([]byte, 0, 40)
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if i == 32 {
			b = append(b, "..."...)
			break
		}
		if s[i] < ' ' || s[i] > '~' {
			b = append(b, '?')
		} else {
			b = append(b, s[i])
		}
	}
	return string(append(b, '"'))
}

// split takes a list apart at its commas. One at the end divides nothing.
func split(s string) []string {
	var list []string
	for s != "" {
		var w string
		w, s, _ = strings.Cut(s, ",")
		list = append(list, w)
	}
	return list
}

// blank tells what divides words.
func blank(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' || r == 0 }
