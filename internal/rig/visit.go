// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"
)

// A visit is what is done on a target, in a directory of its own there.
type visit struct {
	*login
	parent   string // of the directory
	dir      string
	lost     bool // the connection, while the cases ran
	say      func(format string, args ...any)
	patience time.Duration // after a cut, times the number of tries
	reboots  time.Duration // how long a reboot may take
}

// arrive finds out what the target is.
func (v *visit) arrive(ctx context.Context) (Board, error) {
	answer, err := v.ask(ctx, `echo "safeload-answer:$(id -u)|$(uname -m)|$(uname -r)"`)
	if err != nil {
		return Board{}, err
	}
	f := strings.Split(answer, "|")
	if len(f) != 3 {
		return Board{}, fmt.Errorf("%s: %.200q is not what was asked for", v, answer)
	}
	if f[0] != "0" {
		v.sudo = true
		if answer, err := v.ask(ctx, `echo "safeload-answer:$(id -u)"`); err != nil || answer != "0" {
			return Board{}, fmt.Errorf("%s: neither root nor sudo without a password there, and only root can load modules", v)
		}
	}
	return newBoard(f[1], f[2], v.Host)
}

// copy puts the tree there, into a new directory that only root can read.
func (v *visit) copy(ctx context.Context, tree string) error {
	parent := v.parent
	if parent == "" {
		parent = "/var/tmp"
	}
	dir, err := v.ask(ctx, `d=$(mktemp -d `+quote(parent+"/safeload.XXXXXXXX")+`) && chmod 700 "$d" && echo "safeload-answer:$d"`)
	if err != nil {
		return err
	}
	// What is removed there at the end is what was made, whatever the other side says.
	if path.Clean(dir) != dir || path.Dir(dir) != path.Clean(parent) || !strings.HasPrefix(path.Base(dir), "safeload.") || strings.ContainsFunc(dir, oddInPath) {
		return fmt.Errorf("%s: mktemp answers %.200q", v, dir)
	}
	v.dir = dir
	read, write := io.Pipe()
	go func() { _ = write.CloseWithError(Archive(write, tree, "")) }()
	defer read.Close()
	if err := v.run(ctx, read, io.Discard, "cd "+quote(dir)+" && tar -xof -"); err != nil {
		return fmt.Errorf("%s: copying to %s: %w", v, dir, err)
	}
	return nil
}

func (v *visit) script(args ...string) string {
	command := "sh " + quote(v.dir+"/run.sh")
	for _, a := range args {
		command += " " + quote(a)
	}
	return command
}

// play runs the cases in one mode, and adds what is said to text. end says why a verdict that is owed may be missing.
func (v *visit) play(ctx context.Context, tree string, mode Mode, limit time.Duration, text io.Writer) (end string, err error) {
	// After a reboot the directory may be gone.
	if v.dir == "" || v.run(ctx, nil, io.Discard, "test -x "+quote(v.dir+"/run.sh")) != nil {
		if err := v.copy(ctx, tree); err != nil {
			return "", err
		}
	}
	if err := v.run(ctx, nil, io.Discard, v.script("start", string(mode))); err != nil {
		return "", fmt.Errorf("%s: starting the cases: %w", v, err)
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	l := &listener{to: text, say: v.say}
	end = v.follow(bounded, l)
	if bounded.Err() != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		end = fmt.Sprintf("the target was stopped after %.0f s", limit.Seconds())
		if err := v.run(stop, nil, io.Discard, v.script("stop")); err != nil {
			v.say("%s: it could not be stopped: %v; there: sh %s/run.sh stop", v, err, v.dir)
		} else {
			_ = v.once(stop, l) // what is put back is said
		}
	}
	return end, ctx.Err()
}

// A listener takes what follow prints, counts it, and shows people the verdicts. What the login says before is not of it:
// follow begins with a line of its own.
type listener struct {
	to    io.Writer
	begun bool
	head  []byte // before that line
	n     int64
	rest  []byte // of a line that has not ended
	say   func(format string, args ...any)
}

var followBegins = []byte("#F#\n")

func (l *listener) Write(p []byte) (int, error) {
	taken := len(p)
	if !l.begun {
		l.head = append(l.head, p...)
		_, after, ok := bytes.Cut(l.head, followBegins)
		if !ok {
			return taken, nil
		}
		l.begun, l.head, p = true, nil, after
	}
	n, err := l.to.Write(p)
	l.n += int64(n)
	l.show(p[:n])
	return taken, err
}

func (l *listener) show(p []byte) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return
		}
		l.rest = rest
		if bytes.HasPrefix(line, []byte("#R# ")) || bytes.HasPrefix(line, []byte("#T# ")) {
			l.say("%s", printable(string(line)))
		}
	}
}

// once takes what the run says from where the listener is, until the run is over.
func (v *visit) once(ctx context.Context, l *listener) error {
	l.begun, l.head = false, nil
	return v.run(ctx, nil, l, v.script("follow", fmt.Sprint(l.n)))
}

// follow takes what the run says until it is over. The run goes on by itself when the connection is cut; another one takes
// what it said meanwhile.
func (v *visit) follow(ctx context.Context, l *listener) (end string) {
	const tries = 5
	for failed := 0; ; {
		before := l.n
		err := v.once(ctx, l)
		if l.n > before {
			failed = 0
		}
		switch {
		case err == nil:
			return "the run ended without a verdict"
		case !errors.Is(err, errCut):
			return fmt.Sprintf("run.sh follow on the target: %v", err)
		case ctx.Err() != nil:
			return "the run was ended"
		}
		if failed++; failed > tries {
			v.lost = true
			v.say("%s: the connection was lost; when it is there again: ssh %s cat %s/console >FILE; vm-test.sh --read FILE", v, v.Host, v.dir)
			return "the connection to the target was lost"
		}
		v.say("%s: the connection was cut; trying again", v)
		select {
		case <-time.After(time.Duration(failed) * v.patience):
		case <-ctx.Done():
			return "the run was ended"
		}
	}
}

// ownBootID is the file that has the boot id of the machine that the rig itself runs on.
const ownBootID = "/proc/sys/kernel/random/boot_id"

// notHere refuses a target that is the rig's own machine: what hangs there would take the rig with it, and a reboot, too. file is
// ownBootID.
func (v *visit) notHere(ctx context.Context, file string) error {
	own, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	there, err := v.bootID(ctx)
	if err != nil {
		return err
	}
	if there != "" && there == strings.TrimSpace(string(own)) {
		return usagef("%s is the machine that this runs on (or a container on it): the cases load modules that hang and race on purpose; use another machine, or a guest (no --target)", v)
	}
	return nil
}

func (v *visit) bootID(ctx context.Context) (string, error) {
	return v.ask(ctx, `echo "safeload-answer:$(cat /proc/sys/kernel/random/boot_id)"`)
}

// reboot ends what hangs, and waits until another boot of the same kernel answers.
func (v *visit) reboot(ctx context.Context, b Board) error {
	was, err := v.bootID(ctx)
	if err != nil {
		return err
	}
	v.say("%s: rebooting, as what kmod hangs in does not end otherwise", v)
	if err := v.run(ctx, nil, io.Discard, v.script("reboot")); err != nil && !errors.Is(err, errCut) {
		return fmt.Errorf("%s: reboot: %w", v, err)
	}
	bounded, cancel := context.WithTimeout(ctx, v.reboots)
	defer cancel()
	for {
		select {
		case <-bounded.Done():
			return fmt.Errorf("%s: it did not come back within %s", v, v.reboots)
		case <-time.After(5 * v.patience):
		}
		if id, err := v.bootID(bounded); err == nil && id != was {
			break
		}
	}
	now, err := (&visit{login: &login{Target: v.Target}}).arrive(ctx)
	if err == nil && now.Release != b.Release {
		err = fmt.Errorf("%s: it came back with kernel %s, not %s", v, now.Release, b.Release)
	}
	if err != nil {
		return err
	}
	return v.run(ctx, nil, io.Discard, "! test -x "+quote(v.dir+"/run.sh")+" || "+v.script("undo"))
}

// depart removes the directory, if nothing of it is in use. What was said there and not taken stays.
func (v *visit) depart(ctx context.Context) {
	if v.dir == "" || v.lost {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := v.run(ctx, nil, io.Discard, v.script("clean")); err != nil {
		v.say("%s: %s is still there: %v", v, v.dir, err)
	}
}
