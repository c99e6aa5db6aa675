// SPDX-License-Identifier: Apache-2.0

package audit

// name is a module name that is requested, and the steps that led to it.
type name struct {
	text string
	// unsure: only if the mask, which was not found out, has no NEED_FALLBACK.
	unsure bool
	via    []string
}

// satisfied reports whether an algorithm is there already, so that nothing is
// requested.
type satisfied func(algRequest) bool

// lookup gives the module names that the crypto API requests for an algorithm,
// in order, as long as none is found: crypto_larval_lookup in crypto/api.c
// requests crypto-NAME, and crypto-NAME-all unless the caller wants none that
// needs a fallback; then cryptomgr (crypto/algboss.c, cryptomgr_probe) takes
// the name apart, looks up the template, which requests crypto-TEMPLATE
// (crypto_lookup_template in crypto/algapi.c), and the template asks for what it
// is made of.
func (m model) lookup(r algRequest, there satisfied) []name {
	return m.lookupVia(r, there, nil, map[string]bool{})
}

func (m model) lookupVia(r algRequest, there satisfied, via []string, busy map[string]bool) (out []name) {
	if r.name == "" || len(r.name) >= maxAlgName || busy[r.name] || len(via) > 6 || there(r) {
		return nil
	}
	busy[r.name] = true
	defer delete(busy, r.name)
	out = append(out, name{text: "crypto-" + r.name, via: via})
	if (r.typ^algNeedFallback)&r.mask&algNeedFallback == 0 {
		out = append(out, name{text: "crypto-" + r.name + "-all", via: via, unsure: r.unsure})
	}
	template, args, ok := split(r.name)
	if !ok {
		return out
	}
	via = append(via[:len(via):len(via)], "template "+template+" makes "+r.name)
	out = append(out, name{text: "crypto-" + template, via: via})
	for _, inner := range m.inner(template, args, r) {
		out = append(out, m.lookupVia(inner, there, via, busy)...)
	}
	return out
}
