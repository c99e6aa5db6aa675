// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"safeload/bpf/live"
	"safeload/internal/proc"
)

// describe looks up what no source tells of the tasks of a finding, while they
// are in their waits: the files that they load, and the guard's tokens.
func describe(f *live.Finding) {
	f.Token = tokenOf(f.TGID)
	for i := range f.Chain {
		s := &f.Chain[i]
		fillFile(s)
		if s.Cgroup != 0 {
			s.Token = tokenOf(s.TGID)
		}
	}
}

func fillFile(s *live.Step) {
	if s.FD < 0 || (s.What != live.StepLoad && s.What != live.StepWait) {
		return
	}
	p, err := proc.OpenProc()
	if err != nil {
		return
	}
	defer p.Close()
	p.Bounded(func(p *proc.FS) {
		if f, err := p.File(int(s.TGID), int(s.FD)); err == nil {
			s.File = f.Path
		}
	})
}

// tokenOf returns the token of a process: the name of the cgroup that the
// guard made for it, /safeload/TOKEN.
func tokenOf(pid uint32) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(int(pid)) + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), ":/")
		if dir, name := filepath.Split(path); dir == "safeload/" {
			token, _, _ := strings.Cut(name, ".") // the rest is how deep
			return token
		}
	}
	return ""
}
