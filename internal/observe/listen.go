// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"golang.org/x/sys/unix"

	"safeload/internal/registry"
)

// readAnnounced adds the entries of those who have no registry. The helpers of the
// kernel are always asked: some are older than /run. all asks everybody.
func (s *Snapshot) readAnnounced(all bool) {
	self, err := s.Proc.Exe(unix.Getpid())
	if err != nil {
		return
	}
	ask := func(pid int) {
		t := s.Tasks[pid]
		if t == nil || s.Entries[pid] != nil || t.Kthread() || t.Gone() || pid == unix.Getpid() {
			return
		}
		// Only what our own user has made is believed, and what others have
		// open, or run, may be a file that never answers.
		if o, err := s.Proc.Outline(pid, pid); err != nil || o.User != int64(unix.Geteuid()) {
			return
		}
		if e, ok := registry.ReadAnnounced(s.Proc, pid, self); ok && s.ReadStart(t) && e.Start == t.ProcessStart {
			s.Entries[pid] = &e
		}
	}
	for _, h := range s.Helpers() {
		ask(h.PID)
	}
	if !all {
		return
	}
	for tid, t := range s.Tasks {
		if tid == t.PID {
			ask(tid)
		}
	}
}
