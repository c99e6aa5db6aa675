// SPDX-License-Identifier: Apache-2.0

package modfile

import "strconv"

// Signature is what is appended to a signed module: struct module_signature of
// the kernel's include/linux/module_signature.h, and what that describes.
type Signature struct {
	// IDType is PGP, X509 or PKCS#7.
	IDType string
	Signer string
	KeyID  []byte
	Hash   string
	Data   []byte
}

const signatureMagic = "~Module signature appended~\n"

var (
	hashNames = [...]string{"md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224", "sm3"}
	idTypes   = [...]string{"PGP", "X509", "PKCS#7"}
)

// Signature reads the signature at the end of the file; nil if there is none.
// It is not verified: that is the kernel's.
func (f *File) Signature() *Signature { return ParseSignature(f.data) }

// cutSignature parts a signed file into what comes before the signature's data, these, and struct module_signature, which
// is nil if there is no signature.
func cutSignature(b []byte) (before, data, info []byte) {
	const infoSize = 12
	n := len(b) - len(signatureMagic)
	if n < infoSize || string(b[n:]) != signatureMagic {
		return b, nil, nil
	}
	info, rest := b[n-infoSize:n], b[:n-infoSize]
	signer, key := uint64(info[3]), uint64(info[4])
	size := uint64(info[8])<<24 | uint64(info[9])<<16 | uint64(info[10])<<8 | uint64(info[11])
	if size == 0 || uint64(len(rest)) < size+signer+key {
		return b, nil, nil
	}
	n = len(rest) - int(size)
	return rest[:n], rest[n:], info
}

// Unsigned is a module without what was appended to sign it.
func Unsigned(b []byte) []byte {
	before, _, info := cutSignature(b)
	if info == nil {
		return b
	}
	return before[:len(before)-int(info[3])-int(info[4])]
}

// ParseSignature is [File.Signature] for any bytes.
func ParseSignature(b []byte) *Signature {
	b, data, info := cutSignature(b)
	if info == nil {
		return nil
	}
	algo, hash, kind := info[0], info[1], info[2]
	signer, key := int(info[3]), int(info[4])
	if algo > 1 || int(hash) >= len(hashNames) || int(kind) >= len(idTypes) {
		return nil
	}
	s := &Signature{IDType: idTypes[kind]}
	if s.IDType == "PKCS#7" {
		if !s.fromPKCS7(data) {
			*s = Signature{IDType: s.IDType, Hash: "unknown"}
		}
		return s
	}
	s.Data, s.Hash = data, hashNames[hash]
	s.KeyID, b = b[len(b)-key:], b[:len(b)-key]
	s.Signer = cstring(b[len(b)-signer:])
	return s
}

// elements are read one after the other from DER. After the first that is not
// there none is.
type elements struct {
	rest   []byte
	broken bool
}

// next reads an element.
func (e *elements) next(tag byte) []byte {
	content, rest, ok := der(e.rest, tag)
	if !ok || e.broken {
		e.rest, e.broken = nil, true
		return nil
	}
	e.rest = rest
	return content
}

// skip passes over an element that may be there.
func (e *elements) skip(tag byte) {
	if _, rest, ok := der(e.rest, tag); ok && !e.broken {
		e.rest = rest
	}
}

// in reads an element that holds others.
func (e *elements) in(tag byte) *elements {
	content := e.next(tag)
	return &elements{content, e.broken}
}

// fromPKCS7 reads the first signer of a SignedData (RFC 2315, RFC 5652).
func (s *Signature) fromPKCS7(b []byte) bool {
	content := (&elements{rest: b}).in(tagSequence)
	if string(content.next(tagOID)) != oidSignedData {
		return false
	}
	signed := content.in(tagContext0).in(tagSequence)
	signed.next(tagInteger)  // version
	signed.next(tagSet)      // digestAlgorithms
	signed.next(tagSequence) // contentInfo
	signed.skip(tagContext0) // certificates
	signed.skip(tagContext1) // lists of revoked ones
	info := signed.in(tagSet).in(tagSequence)
	info.next(tagInteger) // version
	issuer := info.in(tagSequence)
	digest := info.in(tagSequence)
	info.skip(tagContext0) // signed attributes
	info.next(tagSequence) // signature algorithm
	data := info.next(tagOctets)
	name := issuer.next(tagSequence)
	serial := issuer.next(tagInteger)
	hash := digest.next(tagOID)
	if info.broken || issuer.broken || digest.broken {
		return false
	}
	s.Data, s.Signer, s.KeyID, s.Hash = data, commonName(name), magnitude(serial), hashName(hash)
	return true
}

// Tags and object identifiers of what is read here.
const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagOID      = 0x06
	tagSequence = 0x30
	tagSet      = 0x31
	tagContext0 = 0xa0
	tagContext1 = 0xa1

	oidSignedData = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
	oidCommonName = "\x55\x04\x03"
)

// der takes one element with the given tag (0: any) from b.
func der(b []byte, tag byte) (content, rest []byte, ok bool) {
	if len(b) < 2 || tag != 0 && b[0] != tag {
		return nil, nil, false
	}
	n, at := int(b[1]), 2
	if n >= 0x80 {
		bytes := n & 0x7f
		if bytes == 0 || bytes > 3 || len(b) < 2+bytes {
			return nil, nil, false
		}
		n = 0
		for _, c := range b[2 : 2+bytes] {
			n = n<<8 | int(c)
		}
		at += bytes
	}
	if n > len(b)-at {
		return nil, nil, false
	}
	return b[at : at+n], b[at+n:], true
}

// commonName is the first commonName of a Name, or else its last attribute.
func commonName(name []byte) (text string) {
	for len(name) > 0 {
		set, rest, ok := der(name, tagSet)
		if !ok {
			return text
		}
		name = rest
		for len(set) > 0 {
			attr, more, ok := der(set, tagSequence)
			if !ok {
				return text
			}
			set = more
			oid, value, ok := der(attr, tagOID)
			if !ok {
				return text
			}
			content, _, ok := der(value, 0)
			if !ok {
				return text
			}
			text = cstring(content)
			if string(oid) == oidCommonName {
				return text
			}
		}
	}
	return text
}

// magnitude is the absolute value of an INTEGER, without leading zeros.
func magnitude(n []byte) []byte {
	if len(n) > 0 && n[0]&0x80 != 0 {
		out := make([]byte, len(n))
		carry := byte(1)
		for i := len(n) - 1; i >= 0; i-- {
			out[i] = ^n[i] + carry
			if out[i] != 0 {
				carry = 0
			}
		}
		n = out
	}
	for len(n) > 0 && n[0] == 0 {
		n = n[1:]
	}
	return n
}

// hashName is an algorithm's long name in OpenSSL (OBJ_obj2txt(3)), or its
// number.
func hashName(oid []byte) string {
	const nist = "\x60\x86\x48\x01\x65\x03\x04\x02"
	if n := len(oid) - 1; n == len(nist) && string(oid[:n]) == nist && int(oid[n]) < len(nistHashes) && nistHashes[oid[n]] != "" {
		return nistHashes[oid[n]]
	}
	switch string(oid) {
	case "\x2b\x0e\x03\x02\x1a":
		return "sha1"
	case "\x2a\x86\x48\x86\xf7\x0d\x02\x02":
		return "md2"
	case "\x2a\x86\x48\x86\xf7\x0d\x02\x04":
		return "md4"
	case "\x2a\x86\x48\x86\xf7\x0d\x02\x05":
		return "md5"
	case "\x2b\x24\x03\x02\x01":
		return "ripemd160"
	case "\x28\xcf\x06\x03\x00\x37":
		return "whirlpool"
	case "\x2a\x81\x1c\xcf\x55\x01\x83\x11":
		return "sm3"
	case "\x2b\x06\x01\x04\x01\x8d\x3a\x0c\x02\x01\x10":
		return "blake2b512"
	case "\x2b\x06\x01\x04\x01\x8d\x3a\x0c\x02\x02\x08":
		return "blake2s256"
	case "\x2a\x85\x03\x07\x01\x01\x02\x02":
		return "GOST R 34.11-2012 with 256 bit hash"
	case "\x2a\x85\x03\x07\x01\x01\x02\x03":
		return "GOST R 34.11-2012 with 512 bit hash"
	case "\x2a\x85\x03\x02\x02\x09":
		return "GOST R 34.11-94"
	}
	return dotted(oid)
}

// nistHashes are those below 2.16.840.1.101.3.4.2.
var nistHashes = [...]string{
	1: "sha256", 2: "sha384", 3: "sha512", 4: "sha224", 5: "sha512-224", 6: "sha512-256",
	7: "sha3-224", 8: "sha3-256", 9: "sha3-384", 10: "sha3-512", 11: "shake128", 12: "shake256",
}

func dotted(oid []byte) string {
	var out []byte
	first := true
	for len(oid) > 0 {
		var n uint64
		for {
			c := oid[0]
			oid = oid[1:]
			n = n<<7 | uint64(c&0x7f)
			if c&0x80 == 0 || len(oid) == 0 {
				break
			}
		}
		if first {
			top := min(n/40, 2)
			out = append(out, byte('0'+top))
			n -= top * 40
			first = false
		}
		out = append(append(out, '.'), strconv.FormatUint(n, 10)...)
	}
	return string(out)
}
