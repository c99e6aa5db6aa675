// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"errors"
	"sync"
	"testing"
)

// What is made once is made once however many ask, its error is all theirs, and who asks for another thing does not wait.
func TestOnce(t *testing.T) {
	var p perKey[made[int]]
	broken := errors.New("broken")
	begun, end := make(chan bool), make(chan bool)
	calls := 0
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if n, err := once(&p, "slow", func() (int, error) { calls++; close(begun); <-end; return 7, broken }); n != 7 || err != broken {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
	<-begun
	if n, err := once(&p, "quick", func() (int, error) { return 1, nil }); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	close(end)
	all.Wait()
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}
