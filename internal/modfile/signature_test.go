// SPDX-License-Identifier: Apache-2.0

package modfile

import "testing"

// The names are those that "openssl list -objects" gives for the numbers.
func TestHashName(t *testing.T) {
	const nist = "\x60\x86\x48\x01\x65\x03\x04\x02"
	for oid, want := range map[string]string{
		nist + "\x01":                      "sha256",
		nist + "\x06":                      "sha512-256",
		nist + "\x07":                      "sha3-224",
		nist + "\x0c":                      "shake256",
		nist + "\x0d":                      "2.16.840.1.101.3.4.2.13",
		nist + "\x00":                      "2.16.840.1.101.3.4.2.0",
		nist:                               "2.16.840.1.101.3.4.2",
		"\x2b\x0e\x03\x02\x1a":             "sha1",
		"\x28\xcf\x06\x03\x00\x37":         "whirlpool",
		"\x2a\x85\x03\x07\x01\x01\x02\x02": "GOST R 34.11-2012 with 256 bit hash",
	} {
		if got := hashName([]byte(oid)); got != want {
			t.Errorf("%x is %q, want %q", oid, got, want)
		}
	}
}

func TestUnsigned(t *testing.T) {
	const elf, mark = "\x7fELF and all the rest", "~Module signature appended~\n"
	signed := elf + "signature" + "\x00\x00\x02\x00\x00\x00\x00\x00" + "\x00\x00\x00\x09" + mark
	for name, c := range map[string]struct{ module, want string }{
		"signed":         {signed, elf},
		"not signed":     {elf, elf},
		"a mark alone":   {mark, mark},
		"too large":      {"\x00\x00\x02\x00\x00\x00\x00\x00\xff\xff\xff\xff" + mark, "\x00\x00\x02\x00\x00\x00\x00\x00\xff\xff\xff\xff" + mark},
		"a mark in text": {mark + elf, mark + elf},
	} {
		if got := string(Unsigned([]byte(c.module))); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
