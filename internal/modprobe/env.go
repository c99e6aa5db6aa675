// SPDX-License-Identifier: Apache-2.0

package modprobe

// splitOptions cuts the value of MODPROBE_OPTIONS at blanks outside of quotes,
// as modprobe's prepend_options_from_env does: quotes are dropped; a quoted
// part that begins a word also ends it.
func splitOptions(value string) (words []string) {
	b := []byte(value)
	start := 0
	quote := -1
	for i := 0; i < len(b); i++ {
		c := b[i]
		if quote < 0 {
			switch c {
			case ' ':
				words = append(words, string(b[start:i]))
				start = i + 1
			case '"', '\'':
				quote = i
			}
			continue
		}
		if c != b[quote] {
			continue
		}
		if quote == start {
			words = append(words, string(b[start+1:i]))
			start = i + 1
		} else {
			copy(b[quote:], b[quote+1:i])
			copy(b[i-1:], b[i+1:])
			b = b[:len(b)-2]
			i -= 2
		}
		quote = -1
	}
	if start < len(b) {
		words = append(words, string(b[start:]))
	}
	return words
}
