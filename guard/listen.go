// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"golang.org/x/sys/unix"

	"safeload/guard/registry"
)

// listen adds the entries of those who have no registry. The helpers of the
// kernel are always asked: some are older than /run. all asks everybody.
func (s *snapshot) listen(all bool) {
	self, err := s.proc.Exe(unix.Getpid())
	if err != nil {
		return
	}
	ask := func(pid int) {
		t := s.tasks[pid]
		if t == nil || s.entries[pid] != nil || t.Kthread() || t.Gone() || pid == unix.Getpid() {
			return
		}
		// Only what our own user has made is believed, and what others have
		// open, or run, may be a file that never answers.
		if uid, ok := s.proc.EffectiveUser(pid); !ok || uid != unix.Geteuid() {
			return
		}
		if e, ok := registry.ReadAnnounced(s.proc, pid, self); ok && s.date(t) && e.Start == t.pstart {
			s.entries[pid] = &e
		}
	}
	for _, h := range s.helpers() {
		ask(h.pid)
	}
	if !all {
		return
	}
	for tid, t := range s.tasks {
		if tid == t.pid {
			ask(tid)
		}
	}
}
