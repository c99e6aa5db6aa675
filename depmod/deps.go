// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"slices"
	"strconv"
	"syscall"
)

// load finds what each module depends on. It fails if there is a loop.
func (p *program) load() error {
	p.read()
	for _, m := range p.modules {
		for _, s := range m.exports {
			p.addSymbol(s.Name, false, s.CRC, m)
		}
	}
	for _, m := range p.modules {
		p.resolve(m)
	}
	return p.sortTopologically()
}

// resolve finds the modules that export the symbols a module needs.
func (p *program) resolve(m *module) {
	known := make(map[*module]bool)
	for _, n := range m.needs {
		s := p.findSymbol(n.name)
		if s == nil {
			if p.printUnknown && !n.weak {
				p.log.warn(m.path, " needs unknown symbol ", n.name, "\n")
			}
			continue
		}
		if p.checkSymvers && s.crc != n.crc && !n.weak && p.printUnknown {
			p.log.warn(m.path, " disagrees about version of symbol ", n.name, "\n")
		}
		if s.owner == nil || known[s.owner] {
			continue
		}
		known[s.owner] = true
		m.deps = append(m.deps, s.owner)
		s.owner.users++
		p.show(m.path, " needs \"", s.name, "\": ", s.owner.path, "\n")
	}
	m.needs = nil
}

// sortTopologically numbers the modules so that each comes before those it uses.
func (p *program) sortTopologically() error {
	users := make([]uint16, len(p.modules))
	var roots []*module
	for i, m := range p.modules {
		if users[i] = m.users; m.users == 0 {
			roots = append(roots, m)
		}
	}
	n := 0
	for len(roots) > 0 {
		m := roots[len(roots)-1]
		roots = roots[:len(roots)-1]
		m.sorted = n
		n++
		for _, d := range m.deps {
			if users[d.idx]--; users[d.idx] == 0 {
				roots = append(roots, d)
			}
		}
	}
	if n < len(p.modules) {
		p.reportLoops(users)
		return syscall.EINVAL
	}
	for _, m := range p.modules {
		slices.SortStableFunc(m.deps, bySorted)
	}
	return nil
}

func bySorted(a, b *module) int { return a.sorted - b.sorted }

// vertex is a module on a way from a root.
type vertex struct {
	parent *vertex
	m      *module
}

// maxVertices bounds the search for loops. There may be too many ways to walk, and
// kmod never ends on a loop that does not lead back to where it began.
const maxVertices = 1 << 20

// reportLoops names the loops among the modules that have users left.
func (p *program) reportLoops(users []uint16) {
	var roots []*module
	for i, m := range p.modules {
		if users[i] > 0 {
			roots = append(roots, m)
		}
	}
	inLoop := map[*module]bool{}
	// Of kmod's list, which is a ring, the first is then what followed (kmod_list_remove_data).
	drop := func(m *module) {
		if i := slices.Index(roots, m); i >= 0 {
			roots = slices.Concat(roots[i+1:], roots[:i])
		}
	}
	left := maxVertices
	for len(roots) > 0 && left > 0 {
		root := roots[0]
		roots = roots[1:]
		stack := []*vertex{{nil, root}}
		for len(stack) > 0 && left > 0 {
			left--
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if v.m.visited && v.m == root {
				var loop []*module
				for u := v.parent; u != nil; u = u.parent {
					loop = append(loop, u.m)
				}
				text := ""
				for _, m := range slices.Backward(loop) {
					text += m.name + " -> "
					inLoop[m] = true
					drop(m)
				}
				p.log.err("Cycle detected: ", text, v.m.name, "\n")
				continue
			}
			if v.loops() {
				continue
			}
			v.m.visited = true
			if len(v.m.deps) == 0 {
				drop(v.m)
				continue
			}
			for _, d := range v.m.deps {
				stack = append(stack, &vertex{v, d})
			}
		}
	}
	p.log.err("Found ", strconv.Itoa(len(inLoop)), " modules in dependency cycles!\n")
}

// loops reports whether the way to v has passed its module before.
func (v *vertex) loops() bool {
	for u := v.parent; u != nil; u = u.parent {
		if u.m == v.m {
			return true
		}
	}
	return false
}

// allDeps returns all that a module depends on, users before what they use.
func (p *program) allDeps(m *module, list []*module) []*module {
	p.stamp++
	list = list[:0]
	var walk func(m *module)
	walk = func(m *module) {
		for _, d := range m.deps {
			if p.stamps[d.idx] != p.stamp {
				p.stamps[d.idx] = p.stamp
				list = append(list, d)
				walk(d)
			}
		}
	}
	walk(m)
	slices.SortFunc(list, bySorted)
	return list
}
