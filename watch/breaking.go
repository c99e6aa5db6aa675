// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
)

// claimWait is how long the end of another's wait has to free who got no signal.
const claimWait = 100 * time.Millisecond

// breaker ends waits that are proven, one of a circle at a time.
type breaker struct {
	signal syscall.Signal // 0: nobody is signalled
	source Source
	claims []claim
	send   func(pid int, sig syscall.Signal, still func() bool) error

	victims []victimOf // of SIGKILL, which have not ended as far as was seen
	hold    func(pid int) (holder, error)
}

// claim is a victim that got no signal because another of its circle did.
type claim struct {
	finding live.Finding
	at      time.Time // to see whether that was enough
}

// victim reports whether a finding's waiter is to be signalled from here: the
// probe has not, because it cannot or because the finding became proven only
// after the wait began. No signal ends a hard wait.
func victim(f *live.Finding) bool {
	if f.Kind != graph.Recursion {
		return mayFree(f)
	}
	return f.Sent <= 0 && f.Certainty == graph.Certain && f.How != bpf.WaitFileHard
}

// free signals the waiter of a finding, if that is for us to do, and notes it in
// the finding.
func (b *breaker) free(f *live.Finding, now time.Time) error {
	if b.signal != 0 && f.Sent == bpf.Claimed {
		b.claims = append(b.claims, claim{*f, now.Add(claimWait)})
		return nil
	}
	if b.signal == 0 || !victim(f) {
		return nil
	}
	if f.Kind != graph.Recursion && b.signal != unix.SIGKILL {
		return errNotKill
	}
	var p holder
	if f.Kind != graph.Recursion {
		if b.wasKilled(f.Victim()) {
			return nil // it is looked at again: see lookAgain
		}
		p, _ = b.hold(f.Victim()) // send says if it is gone
	}
	if err := b.send(f.Victim(), b.signal, func() bool { return b.source.Waits(f) }); err != nil {
		if p != nil {
			p.Close()
		}
		return fmt.Errorf("cannot signal %s[%d]: %w", f.Comm, f.Victim(), err)
	}
	f.Sent = int32(b.signal)
	if p != nil {
		b.killed(f, p, now)
	}
	return nil
}

// next is when the first claim is due, or a victim to be looked at again.
func (b *breaker) next() (time.Time, bool) {
	var first time.Time
	for _, c := range b.claims {
		if first.IsZero() || c.at.Before(first) {
			first = c.at
		}
	}
	for _, v := range b.victims {
		if first.IsZero() || v.look.Before(first) {
			first = v.look
		}
	}
	return first, !first.IsZero()
}

// retry signals those whom the end of another's wait has not freed: a second
// modprobe of the same command waits as the first did.
func (b *breaker) retry(now time.Time) (signalled []live.Finding, errs []error) {
	var later []claim
	for _, c := range b.claims {
		if now.Before(c.at) {
			later = append(later, c)
			continue
		}
		c.finding.Sent = bpf.Unsent
		if !b.source.Stuck(&c.finding) {
			continue
		}
		if err := b.free(&c.finding, now); err != nil {
			errs = append(errs, err)
		} else if c.finding.Sent > 0 {
			signalled = append(signalled, c.finding)
		}
	}
	b.claims = later
	return signalled, errs
}

// signalProcess holds on to the process before it asks whether that is still to
// be signalled, so that no other of the same pid is hit.
func signalProcess(pid int, sig syscall.Signal, still func() bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	if !still() {
		return errors.New("it has left the wait")
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		return fmt.Errorf("pidfd_send_signal: %w", err)
	}
	return nil
}
