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

// inner gives what a template asks for when an instance is made: its create
// function in crypto/TEMPLATE.c. What the caller forbids (asynchronous,
// needing a fallback, allocating) it forbids too: crypto_check_attr_type,
// CRYPTO_ALG_INHERITED_FLAGS.
func (m model) inner(template string, args []string, of algRequest) (out []algRequest) {
	mask := (of.typ ^ algInherited) & of.mask & algInherited
	ask := func(name string, class, cmask uint32) {
		if name != "" {
			out = append(out, algRequest{name, class, cmask, 0, mask, of.unsure})
		}
	}
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	a := arg(0)
	skcipher := func(n string) { ask(n, typeSKCipher, 0xe) }
	cipher := func(n string) { ask(n, typeCipher, algTypeMask) }
	ahash := func(n string) { ask(n, typeAhash, 0xe) }
	shash := func(n string) { ask(n, typeShash, algTypeMask) }
	aead := func(n string) { ask(n, typeAEAD, algTypeMask) }
	switch template {
	case "cbc":
		if m.lskcipher() { // lskcipher_alloc_instance_simple, crypto/lskcipher.c
			ask(a, typeLSKCipher, algTypeMask)
			ask("ecb("+a+")", typeLSKCipher, algTypeMask)
		} else {
			cipher(a)
		}
	case "ecb":
		if m.lskcipher() {
			ask(a, typeLSKCipher, algTypeMask)
		}
		cipher(a)
	case "ctr", "pcbc", "cfb", "ofb", "kw", "xctr", "cbcmac", "cmac", "xcbc", "vmac64":
		cipher(a)
	case "xts", "lrw":
		skcipher(a)
		if !strings.HasPrefix(a, "ecb(") {
			skcipher("ecb(" + a + ")")
		}
		if template == "xts" {
			cipher(a)
		}
	case "cts", "rfc3686":
		skcipher(a)
	case "essiv":
		if strings.HasPrefix(a, "authenc") {
			aead(a)
		} else {
			skcipher(a)
		}
		shash(arg(1))
	case "gcm":
		skcipher("ctr(" + a + ")")
		ahash("ghash")
	case "gcm_base", "rfc7539", "rfc7539esp":
		skcipher(a)
		ahash(arg(1))
	case "ccm":
		ahash("cbcmac(" + a + ")")
		skcipher("ctr(" + a + ")")
	case "ccm_base":
		skcipher(a)
		ahash(arg(1))
	case "rfc4106", "rfc4309", "rfc4543", "seqiv", "echainiv", "pcrypt":
		aead(a)
	case "hmac":
		shash(a)
	case "authenc", "authencesn":
		ahash(a)
		skcipher(arg(1))
	case "hctr2":
		skcipher("xctr(" + a + ")")
		shash("polyval")
		cipher(a)
	case "adiantum":
		skcipher(a)
		cipher(arg(1))
		shash("nhpoly1305")
	case "pkcs1pad":
		ask(a, 6, algTypeMask)
	case "cryptd":
		out = append(out, algRequest{a, of.class, of.cmask, algInternal, algInternal | mask, of.unsure})
	}
	return out
}
