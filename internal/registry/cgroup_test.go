// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"os"
	"testing"

	"safeload/internal/proc"
)

// A token in a path counts only where root alone makes groups.
func TestCgroupToken(t *testing.T) {
	token := NewToken()
	for text, want := range map[string]string{
		"0::/safeload/" + token + ".2\n":                                      token,
		"3:net_cls:/\n0::/safeload/" + token + ".2/below\n":                   token,
		"0::/user.slice/user@1000.service/x:/safeload/" + token + ".2\n":      "",
		"0::/user.slice/safeload/" + token + ".2\n":                           "",
		"0::/safeload/" + token + "\n":                                        "",
		"1:name=x\n":                                                          "",
		"5:freezer:/safeload/short.1\n4:pids:/safeload/" + token + ".65536\n": token,
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(dir+"/7", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/7/cgroup", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := proc.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := CgroupToken(p, 7); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		p.Close()
	}
}
