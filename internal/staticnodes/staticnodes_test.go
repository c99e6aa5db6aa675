// SPDX-License-Identifier: Apache-2.0

package staticnodes

import (
	"bytes"
	"testing"
)

func TestFormats(t *testing.T) {
	n, ok := parse("tun net/tun c10:200\n")
	if !ok {
		t.Fatal("a good line is refused")
	}
	want := map[string]string{
		"human":    "Module: tun\n\tDevice node: /dev/net/tun\n\t\tType: character device\n\t\tMajor: 10\n\t\tMinor: 200\n",
		"tmpfiles": "d /dev/net 0755 - - -\nc! /dev/net/tun 0600 - - - 10:200\n",
		"devname":  "tun net/tun c10:200\n",
	}
	for _, f := range formats {
		var b bytes.Buffer
		if f.write(&b, n); b.String() != want[f.name] {
			t.Errorf("%s: %q, want %q", f.name, b.String(), want[f.name])
		}
	}
	for _, line := range [...]string{"", "tun", "tun net/tun", "tun net/tun x1:2", "tun net/tun c1", "tun net/tun c1:", "tun net/tun c:2"} {
		if n, ok := parse(line); ok {
			t.Errorf("%q is %v", line, n)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string // how they begin
	}{
		{[]string{"static-nodes", "-h"}, 0, "Usage:\n\tkmod static-nodes", ""},
		{[]string{"static-nodes", "-fx"}, 1, "Usage:\n", "Unknown format: 'x'.\n"},
		{[]string{"static-nodes", "-x"}, 1, "", "static-nodes: invalid option -- 'x'\n"},
	} {
		var out, errs bytes.Buffer
		code := Main(c.args, &out, &errs)
		if code != c.code || !bytes.HasPrefix(out.Bytes(), []byte(c.stdout)) || errs.String() != c.stderr {
			t.Errorf("%q: %d, %q, %q", c.args, code, out.String(), errs.String())
		}
	}
}
