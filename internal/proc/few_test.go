// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const fewVariable = "SAFELOAD_TEST_FEW_DESCRIPTORS"

// TestMain is the process of TestBoundedFew before anything of package testing has
// made descriptors for timers.
func TestMain(m *testing.M) {
	if os.Getenv(fewVariable) != "" {
		os.Exit(few())
	}
	os.Exit(m.Run())
}

// few looks with one descriptor to spare, which a read needs.
func few() int {
	p, err := OpenProc()
	if err != nil {
		return 2
	}
	limit := unix.Rlimit{Cur: uint64(p.fd) + 2, Max: uint64(p.fd) + 2}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 3
	}
	code := 4
	p.Bounded(func(p *FS) {
		for range 1000 { // some of it while the caller waits
			if s, err := p.ProcessStat(p.Self()); err != nil || s.State == 0 {
				return
			}
		}
		code = 0
	})
	return code
}

// TestBoundedFew: to wait for a look takes no descriptor, of which the load itself
// may need the last.
func TestBoundedFew(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), fewVariable+"=1", "GOMAXPROCS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %.300s", err, strings.TrimSpace(string(out)))
	}
}
