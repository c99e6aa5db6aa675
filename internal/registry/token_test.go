// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	a, b := NewToken(), NewToken()
	if a == b || !validToken(a) || !validToken(b) {
		t.Errorf("%q %q", a, b)
	}
	for _, bad := range []string{"", "x", a + "0", strings.ToUpper("abcdef") + a[6:], strings.Repeat("/", 32)} {
		if validToken(bad) {
			t.Errorf("%q passed", bad)
		}
	}
	if token, depth, ok := ParseCarried(Carry(a, 65536)); token != a || depth != 65536 || !ok {
		t.Errorf("carried: %q, %d, %v", token, depth, ok)
	}
	for _, bad := range []string{"", a, a + ".", a + ".0", a + ".01", a + ".-1", a + ".65537", a + ".99999999999", a + "/1", "../" + a[3:] + ".1"} {
		if token, depth, ok := ParseCarried(bad); ok || token != "" || depth != 0 {
			t.Errorf("carried %q passed as %q, %d", bad, token, depth)
		}
	}
}
