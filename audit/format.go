// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"strings"
)

// format expands the format of a request_module.
func (mr *moduleRequests) format(e event, route, weak []string) {
	f := e.args[1]
	if f.kind == argParam {
		mr.add(&request{name: "*", holes: true, param: f.text, weak: weak, route: route})
		return
	}
	if f.kind != argText {
		mr.unnamed(route, weak)
		return
	}
	q := &request{route: route, weak: weak}
	var b strings.Builder
	next := 2
	s := f.text
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		plain := true
		for i++; i < len(s) && strings.IndexByte("-+ #0123456789.*lhzjt", s[i]) >= 0; i++ {
			if s[i] == '*' {
				next++
				plain = false
			}
			plain = plain && strings.IndexByte("-+ #0123456789.", s[i]) < 0
		}
		if i >= len(s) {
			break
		}
		var a arg
		if s[i] == '%' {
			b.WriteByte('%')
			continue
		}
		if next < maxArgs {
			a = e.args[next]
		}
		next++
		switch {
		case a.kind == argText && s[i] == 's' && plain:
			b.WriteString(a.text)
		case a.kind == argNumber && (s[i] == 'd' || s[i] == 'i') && plain:
			fmt.Fprint(&b, int32(a.n))
		case a.kind == argNumber && s[i] == 'u' && plain:
			fmt.Fprint(&b, uint32(a.n))
		default:
			if a.kind == argParam {
				q.param = a.text
			}
			q.holes = true
			b.WriteByte('*')
		}
	}
	q.name = b.String()
	if q.holes && q.param == "" {
		if strings.IndexByte(q.name, '*') < 3 {
			mr.unnamed(route, weak)
			return
		}
		q.weak = append(slices.Clone(weak), weakHole)
	}
	mr.add(q)
}

// unnamed notes a request of whose name nothing is known.
func (mr *moduleRequests) unnamed(route, weak []string) {
	mr.opaque++
	if len(mr.nameless) < 16 {
		mr.nameless = append(mr.nameless, &request{name: "*", holes: true, weak: weak, route: route})
	}
}
