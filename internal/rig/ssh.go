// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Target is where a machine that is real is logged in to.
type Target struct{ User, Host, Port string }

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	hostIPv6 = regexp.MustCompile(`^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?$`)
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$`)
)

// ParseTarget reads ssh://[user@]host[:port]. The host may be a name of the user's ssh configuration. Whatever ssh or a
// shell could take for something else is refused.
func ParseTarget(s string) (Target, error) {
	bad := func(why string) (Target, error) {
		return Target{}, usagef("--target %q: %s; ssh://[user@]host[:port] is expected", s, why)
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("it cannot be read")
	}
	if u.Scheme != "ssh" || u.Opaque != "" {
		return bad("it does not begin with ssh://")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return bad("there is something after the host")
	}
	t := Target{Host: u.Hostname(), Port: u.Port()}
	if !hostName.MatchString(t.Host) && !hostIPv6.MatchString(t.Host) {
		return bad("that is no name of a host")
	}
	if u.User != nil {
		if _, has := u.User.Password(); has {
			return bad("a password does not belong there (ssh asks for it)")
		}
		if t.User = u.User.Username(); !userName.MatchString(t.User) {
			return bad("that is no name of a user")
		}
	}
	if t.Port != "" {
		if n, err := strconv.Atoi(t.Port); err != nil || n < 1 || n > 65535 {
			return bad("that is no port")
		}
	}
	return t, nil
}

func (t Target) String() string {
	s := t.Host
	if strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	if t.User != "" {
		s = t.User + "@" + s
	}
	if t.Port != "" {
		s += ":" + t.Port
	}
	return "ssh://" + s
}

// args are ssh's. A connection that is dead is noticed within a minute; nothing of this machine is lent to the target.
func (t Target) args(command string) []string {
	args := []string{"-T", "-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no", "-o", "ForwardX11=no",
		"-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4", "-o", "Compression=yes"}
	if t.User != "" {
		args = append(args, "-l", t.User)
	}
	if t.Port != "" {
		args = append(args, "-p", t.Port)
	}
	return append(args, "--", t.Host, command)
}

// quote makes one word of a shell's command line.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// errCut says that ssh failed, not what it was to start.
var errCut = errors.New("the connection failed")

// A login runs commands on a target by the system's ssh, so that the user's configuration, keys, agent and known hosts
// are what they are at a prompt.
type login struct {
	Target
	sudo bool
}

// run runs a command for sh as root. Its error is errCut where ssh could not connect or lost the connection.
func (l *login) run(ctx context.Context, stdin io.Reader, stdout io.Writer, command string) error {
	// The user's shell there may be any: it gets one word in single quotes.
	sh := "exec sh -c " + quote(command)
	if l.sudo {
		sh = "exec sudo -n sh -c " + quote(command)
	}
	cmd := exec.CommandContext(ctx, "ssh", l.args(sh)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, os.Stderr
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 255 { // ssh(1): an error of its own
		return errCut
	}
	return err
}

// ask runs a command that answers in one line, which begins with a mark: what a login prints besides is passed over.
func (l *login) ask(ctx context.Context, command string) (string, error) {
	var out strings.Builder
	const mark = "safeload-answer:"
	if err := l.run(ctx, nil, &out, command); err != nil {
		return "", fmt.Errorf("%s: %w", l, err)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if answer, ok := strings.CutPrefix(strings.TrimSuffix(line, "\r"), mark); ok {
			return answer, nil
		}
	}
	return "", fmt.Errorf("%s: no answer to what was asked there: %.200q", l, out.String())
}
