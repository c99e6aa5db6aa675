// SPDX-License-Identifier: Apache-2.0

package kmod

// PlainCommand reports whether an install or remove command is one call of modprobe
// and nothing else to the shell. Such a command does the same each time.
func PlainCommand(text string) bool {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == ' ', c == '\t', c == '_', c == '-', c == '.', c == '/', c == ',', c == ':', c == '+', c == '@', c == '=':
		default:
			return false
		}
	}
	first, rest := word(text)
	if first == "exec" {
		first, rest = word(rest)
	}
	first = base(first)
	return (first == "modprobe" || first == "safeload-modprobe") && rest != ""
}
