// SPDX-License-Identifier: Apache-2.0

package syntax

// Fnmatch reports whether name matches pattern as fnmatch(3) of glibc does
// with no flags in the C locale: '*', '?', bracket expressions with ranges,
// classes and negation by '!' or '^', and a backslash that takes the next
// character literally. A bracket without an end stands for itself.
//
// It needs time proportional to the product of both lengths at most, whatever
// the pattern.
func Fnmatch(pattern, name string) bool {
	p, n := 0, 0
	starP, starN := -1, 0
	for {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			starP, starN = p, n
			continue
		}
		if n == len(name) {
			// Nothing is left to give to an earlier star either: that
			// would only shorten what is already exhausted.
			return p == len(pattern)
		}
		if p < len(pattern) {
			switch matchOne(pattern, &p, name[n]) {
			case matched:
				n++
				continue
			case badPattern:
				return false
			}
		}
		if starP < 0 {
			return false
		}
		starN++
		p, n = starP, starN
	}
}

type outcome int

const (
	unmatched outcome = iota
	matched
	badPattern // never matches, whatever comes before it
)

// matchOne matches c against the element at pattern[*p], which is no star,
// and moves *p past it on success.
func matchOne(pattern string, p *int, c byte) outcome {
	switch pattern[*p] {
	case '?':
		*p++
		return matched
	case '\\':
		if *p+1 == len(pattern) {
			return badPattern
		}
		if pattern[*p+1] != c {
			return unmatched
		}
		*p += 2
		return matched
	case '[':
		end, r := matchBracket(pattern, *p+1, c)
		switch r {
		case bracketMatch:
			*p = end
			return matched
		case bracketOther:
			return unmatched
		}
		// No end: an ordinary character.
	}
	if pattern[*p] != c {
		return unmatched
	}
	*p++
	return matched
}

type bracketResult int

const (
	bracketOther bracketResult = iota
	bracketMatch
	bracketOpen // no closing bracket
)

// At reads pattern like a C string: NUL at the end and beyond.
func At(pattern string, i int) byte {
	if i < len(pattern) {
		return pattern[i]
	}
	return 0
}

// matchBracket matches c against the bracket expression whose inside begins at
// pattern[i], and returns the index after the closing bracket.
func matchBracket(pattern string, i int, c byte) (end int, r bracketResult) {
	not := At(pattern, i) == '!' || At(pattern, i) == '^'
	if not {
		i++
	}
	for first := true; ; first = false {
		b := At(pattern, i)
		switch {
		case b == 0:
			return 0, bracketOpen
		case b == ']' && !first:
			return bracketVerdict(i+1, false, not)
		case b == '[' && At(pattern, i+1) == ':':
			name, next, ok := className(pattern, i+2)
			if ok {
				in, known := inClass(name, c)
				if !known {
					return 0, bracketOther
				}
				if in {
					return foundInBracket(pattern, next, not)
				}
				i = next
				continue
			}
		case b == '[' && At(pattern, i+1) == '=':
			if At(pattern, i+2) != 0 && At(pattern, i+3) == '=' && At(pattern, i+4) == ']' {
				if At(pattern, i+2) == c {
					return foundInBracket(pattern, i+5, not)
				}
				i += 5
				continue
			}
		}
		lo, next, ok := bracketChar(pattern, i)
		if !ok {
			return 0, bracketOther
		}
		if At(pattern, next) == '-' && At(pattern, next+1) != 0 && At(pattern, next+1) != ']' {
			hi, after, ok := bracketChar(pattern, next+1)
			if !ok {
				return 0, bracketOther
			}
			if lo <= c && c <= hi {
				return foundInBracket(pattern, after, not)
			}
			i = after
			continue
		}
		if lo == c {
			return foundInBracket(pattern, next, not)
		}
		i = next
	}
}

// foundInBracket is the result for a character that the bracket expression has,
// whose rest begins at pattern[i].
func foundInBracket(pattern string, i int, not bool) (end int, r bracketResult) {
	end, r = skipBracket(pattern, i)
	if r != bracketMatch {
		return 0, r
	}
	return bracketVerdict(end, true, not)
}

func bracketVerdict(end int, found, not bool) (int, bracketResult) {
	if found != not {
		return end, bracketMatch
	}
	return end, bracketOther
}

// bracketChar reads one end of a range: a character, an escaped one or a
// collating symbol such as [.-.].
func bracketChar(pattern string, i int) (c byte, next int, ok bool) {
	switch b := At(pattern, i); {
	case b == '\\':
		if At(pattern, i+1) == 0 {
			return 0, 0, false
		}
		return pattern[i+1], i + 2, true
	case b == '[' && At(pattern, i+1) == '.':
		if At(pattern, i+2) == 0 || At(pattern, i+3) != '.' || At(pattern, i+4) != ']' {
			return 0, 0, false
		}
		return pattern[i+2], i + 5, true
	default:
		return b, i + 1, true
	}
}

// skipBracket finds the end of a bracket expression after a character of it
// has matched.
func skipBracket(pattern string, i int) (end int, r bracketResult) {
	for {
		switch b := At(pattern, i); {
		case b == 0:
			return 0, bracketOpen
		case b == ']':
			return i + 1, bracketMatch
		case b == '\\':
			if At(pattern, i+1) == 0 {
				return 0, bracketOther
			}
			i += 2
		case b == '[' && At(pattern, i+1) == ':':
			if _, next, ok := className(pattern, i+2); ok {
				i = next
			} else {
				i++
			}
		case b == '[' && At(pattern, i+1) == '=':
			if At(pattern, i+2) == 0 || At(pattern, i+3) != '=' || At(pattern, i+4) != ']' {
				return 0, bracketOther
			}
			i += 5
		case b == '[' && At(pattern, i+1) == '.':
			j := i + 2
			for At(pattern, j) != 0 && (pattern[j] != '.' || At(pattern, j+1) != ']') {
				j++
			}
			if At(pattern, j) == 0 {
				return 0, bracketOther
			}
			i = j + 2
		default:
			i++
		}
	}
}

// className reads "alpha:]"; ok is false if it cannot be a class's name.
func className(pattern string, i int) (name string, next int, ok bool) {
	for j := i; ; j++ {
		c := At(pattern, j)
		if c == ':' && At(pattern, j+1) == ']' {
			return pattern[i:j], j + 2, true
		}
		if c < 'a' || c >= 'z' {
			return "", 0, false
		}
	}
}

func inClass(name string, c byte) (in, known bool) {
	lower, upper := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z'
	digit := c >= '0' && c <= '9'
	graph := c > ' ' && c < 0x7f
	switch name {
	case "alpha":
		return lower || upper, true
	case "digit":
		return digit, true
	case "alnum":
		return lower || upper || digit, true
	case "lower":
		return lower, true
	case "upper":
		return upper, true
	case "xdigit":
		return digit || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F', true
	case "space":
		return IsSpace(c), true
	case "blank":
		return c == ' ' || c == '\t', true
	case "punct":
		return graph && !lower && !upper && !digit, true
	case "graph":
		return graph, true
	case "print":
		return graph || c == ' ', true
	case "cntrl":
		return c < ' ' || c == 0x7f, true
	}
	return false, false
}

// IsSpace is isspace(3) of the C locale.
func IsSpace(c byte) bool {
	return c == ' ' || c >= '\t' && c <= '\r'
}
