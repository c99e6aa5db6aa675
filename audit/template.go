// SPDX-License-Identifier: Apache-2.0

package audit

import "strings"

// model is what differs between kernels.
type model struct {
	major, minor int
}

func (m model) atLeast(major, minor int) bool {
	return m.major > major || m.major == major && m.minor >= minor
}

// from reports whether it is one of the kernels from another on; a kernel that is
// not known is taken for the newest.
func (m model) from(first model) bool {
	return m == model{} || m.atLeast(first.major, first.minor)
}

// newModel reads a release such as 6.12.107+deb13-armmp.
func newModel(release string) (m model) {
	num := func(s string) (n int, rest string) {
		for len(s) > 0 && s[0] >= '0' && s[0] <= '9' && n < 1e6 {
			n, s = n*10+int(s[0]-'0'), s[1:]
		}
		return n, strings.TrimPrefix(s, ".")
	}
	var rest string
	m.major, rest = num(release)
	m.minor, _ = num(rest)
	return m
}

// waitsForTest: registering an algorithm waits for its self-test
// (crypto_wait_for_test in crypto/algapi.c); 37da5d0ffa7b (6.12) ended that.
func (m model) waitsForTest() bool { return !m.atLeast(6, 12) }

// lskcipher: cbc and ecb are built on linear skciphers, and cbc asks for ecb
// (705b52fef3c7, 6.7).
func (m model) lskcipher() bool { return m.atLeast(6, 7) }

// algRequest is a name that something asks the crypto API for.
type algRequest struct {
	name string
	// class and cmask are type and mask of the kind of algorithm, both 0 for any.
	class, cmask uint32
	// typ and mask as the caller gives them; unsure if mask was not found out.
	typ, mask uint32
	unsure    bool
}

// split takes "t(a,b(c))" apart.
func split(name string) (template string, args []string, ok bool) {
	i := strings.IndexByte(name, '(')
	if i <= 0 || !strings.HasSuffix(name, ")") {
		return "", nil, false
	}
	template = name[:i]
	inner := name[i+1 : len(name)-1]
	depth, from := 0, 0
	for j := 0; j < len(inner); j++ {
		switch inner[j] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				args = append(args, inner[from:j])
				from = j + 1
			}
		}
		if depth < 0 {
			return "", nil, false
		}
	}
	return template, append(args, inner[from:]), depth == 0
}

// wanted is one algorithm that a template asks for: its name, in which $0 and $1
// stand for the template's arguments, and its kind.
type wanted struct {
	name         string
	class, cmask uint32
}

func skcipher(name string) wanted  { return wanted{name, typeSKCipher, 0xe} }
func lskcipher(name string) wanted { return wanted{name, typeLSKCipher, algTypeMask} }
func cipher(name string) wanted    { return wanted{name, typeCipher, algTypeMask} }
func ahash(name string) wanted     { return wanted{name, typeAhash, 0xe} }
func shash(name string) wanted     { return wanted{name, typeShash, algTypeMask} }
func aead(name string) wanted      { return wanted{name, typeAEAD, algTypeMask} }

// templates are those that ask for the same on every kernel, whatever their
// arguments: the create functions in crypto/TEMPLATE.c.
var templates = map[string][]wanted{
	"ctr": {cipher("$0")}, "pcbc": {cipher("$0")}, "cfb": {cipher("$0")}, "ofb": {cipher("$0")}, "kw": {cipher("$0")},
	"xctr": {cipher("$0")}, "cbcmac": {cipher("$0")}, "cmac": {cipher("$0")}, "xcbc": {cipher("$0")}, "vmac64": {cipher("$0")},
	"cts": {skcipher("$0")}, "rfc3686": {skcipher("$0")},
	"gcm":      {skcipher("ctr($0)"), ahash("ghash")},
	"gcm_base": {skcipher("$0"), ahash("$1")}, "rfc7539": {skcipher("$0"), ahash("$1")}, "rfc7539esp": {skcipher("$0"), ahash("$1")},
	"ccm":      {ahash("cbcmac($0)"), skcipher("ctr($0)")},
	"ccm_base": {skcipher("$0"), ahash("$1")},
	"rfc4106":  {aead("$0")}, "rfc4309": {aead("$0")}, "rfc4543": {aead("$0")}, "seqiv": {aead("$0")}, "echainiv": {aead("$0")}, "pcrypt": {aead("$0")},
	"hmac":    {shash("$0")},
	"authenc": {ahash("$0"), skcipher("$1")}, "authencesn": {ahash("$0"), skcipher("$1")},
	"hctr2":    {skcipher("xctr($0)"), shash("polyval"), cipher("$0")},
	"adiantum": {skcipher("$0"), cipher("$1"), shash("nhpoly1305")},
	"pkcs1pad": {{"$0", typeAkcipher, algTypeMask}},
}

// wants is what a template asks for on this kernel. first is its first argument.
func (m model) wants(template, first string) []wanted {
	switch template {
	case "cbc":
		if m.lskcipher() { // lskcipher_alloc_instance_simple, crypto/lskcipher.c
			return []wanted{lskcipher("$0"), lskcipher("ecb($0)")}
		}
		return []wanted{cipher("$0")}
	case "ecb":
		if m.lskcipher() {
			return []wanted{lskcipher("$0"), cipher("$0")}
		}
		return []wanted{cipher("$0")}
	case "xts", "lrw":
		list := []wanted{skcipher("$0")}
		if !strings.HasPrefix(first, "ecb(") {
			list = append(list, skcipher("ecb($0)"))
		}
		if template == "xts" {
			list = append(list, cipher("$0"))
		}
		return list
	case "essiv":
		if strings.HasPrefix(first, "authenc") {
			return []wanted{aead("$0"), shash("$1")}
		}
		return []wanted{skcipher("$0"), shash("$1")}
	}
	return templates[template]
}

// inner gives what a template asks for when an instance is made. What the caller
// forbids (asynchronous, needing a fallback, allocating) it forbids too:
// crypto_check_attr_type, CRYPTO_ALG_INHERITED_FLAGS.
func (m model) inner(template string, args []string, of algRequest) (out []algRequest) {
	var arg [2]string
	copy(arg[:], args)
	mask := (of.typ ^ algInherited) & of.mask & algInherited
	if template == "cryptd" {
		return []algRequest{{arg[0], of.class, of.cmask, algInternal, algInternal | mask, of.unsure}}
	}
	for _, w := range m.wants(template, arg[0]) {
		if name := fillIn(w.name, arg); name != "" {
			out = append(out, algRequest{name, w.class, w.cmask, 0, mask, of.unsure})
		}
	}
	return out
}

// fillIn puts arguments in the place of $0 and $1.
func fillIn(name string, arg [2]string) string {
	before, rest, ok := strings.Cut(name, "$")
	if !ok {
		return name
	}
	return before + arg[rest[0]-'0'] + rest[1:]
}
