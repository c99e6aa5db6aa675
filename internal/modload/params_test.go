// SPDX-License-Identifier: Apache-2.0

package modload

import "testing"

func TestJoinParams(t *testing.T) {
	got := JoinParams([]string{"a", "b=1", "c=x y", `d="p q"`, "e='r s'", "f="})
	want := `a b=1 c="x y" d="p q" e='r s' f=`
	if got != want {
		t.Errorf("JoinParams = %s, want %s", got, want)
	}
}
