// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

// TestPage: the script that is allowed is the one that is there, and no text becomes markup.
func TestPage(t *testing.T) {
	p := Page{Title: `</title><script>alert("x")</script>`, Style: ".a{}", Script: "'use strict';\n"}
	var b bytes.Buffer
	if err := p.Begin(&b); err != nil {
		t.Fatal(err)
	}
	if err := p.End(&b); err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(b.String(), -1)
	if len(all) != 1 || all[0][1] != p.Script {
		t.Errorf("scripts %q", all)
	}
	sum := sha256.Sum256([]byte(p.Script))
	if !strings.Contains(b.String(), "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("the policy does not allow it:\n%s", b.String())
	}
	for in, want := range map[string]string{"a<b>&\"'": "a&lt;b&gt;&amp;&quot;&#39;", "\x1b[2J": `\x1b[2J`, "a\nb": `a\x0ab`, "\u202e": `\xe2\x80\xae`, "\xff": `\xff`} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}
