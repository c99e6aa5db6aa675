// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf/live"
	"safeload/internal/plain"
	"safeload/internal/proc"
)

// Who is sent SIGKILL ends when it comes out of the kernel, and it comes out of some
// waits by no signal. So it is looked at again after killedAfter, and once more
// after killedStays: then it is told what is left. It gets no second signal.
const (
	killedAfter = 2 * time.Second
	killedStays = 8 * time.Second
)

// victimOf is a process that was sent SIGKILL.
type victimOf struct {
	finding live.Finding
	process holder
	sent    time.Time
	look    time.Time // when to look at it next
	told    bool
}

// holder holds on to a process, so that no other is taken for it.
type holder interface {
	Ended() bool
	// Where is the kernel function that it waits in; empty if that is not known.
	Where() string
	Close()
}

// killed remembers who was sent SIGKILL for a lock or the like that it holds.
func (b *breaker) killed(f *live.Finding, p holder, now time.Time) {
	b.victims = append(b.victims, victimOf{finding: *f, process: p, sent: now, look: now.Add(killedAfter)})
}

// wasKilled tells whether a process was sent SIGKILL, and is still there.
func (b *breaker) wasKilled(pid int) bool {
	for i := range b.victims {
		if v := &b.victims[i]; v.finding.Victim() == pid && !v.process.Ended() {
			return true
		}
	}
	return false
}

// lookAgain returns a sentence for each victim that has not ended, when that is to
// be told, and forgets those that have.
func (b *breaker) lookAgain(now time.Time) (left []string) {
	var still []victimOf
	for _, v := range b.victims {
		switch {
		case v.process.Ended():
			v.process.Close()
			continue
		case now.Before(v.look):
		case v.told, now.Sub(v.sent) < killedStays:
			v.look = now.Add(killedStays)
		default:
			// Perhaps it has let go, and only its end takes long.
			if b.source.Waits(&v.finding) {
				left = append(left, v.sentence(now))
				v.told = true
			}
			v.look = now.Add(killedStays)
		}
		still = append(still, v)
	}
	b.victims = still
	return left
}

func (v *victimOf) sentence(now time.Time) string {
	in := ""
	if f := v.process.Where(); f != "" {
		in = " in " + f
	}
	return plain.Sprintf("%s[%d] was sent SIGKILL %v ago and is still in the kernel%s, with what the load of %s waits for: "+
		"if it does not come out of that by itself, nothing but a reboot helps. It gets no other signal",
		v.finding.Comm, v.finding.Victim(), now.Sub(v.sent).Round(time.Second), in, v.finding.Module)
}

// pidfd is a holder of a process of this system. It is readable when all threads of
// the process have ended.
type pidfd struct{ fd, pid int }

func holdProcess(pid int) (holder, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open: %w", err)
	}
	return pidfd{fd, pid}, nil
}

func (p pidfd) Ended() bool {
	fds := [1]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n > 0
}

func (p pidfd) Where() (function string) {
	fs, err := proc.OpenProc()
	if err != nil {
		return ""
	}
	defer fs.Close()
	fs.Bounded(func(fs *proc.FS) { function = fs.Wchan(p.pid, p.pid) })
	return function
}

func (p pidfd) Close() { unix.Close(p.fd) }
