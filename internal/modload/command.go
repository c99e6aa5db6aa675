// SPDX-License-Identifier: Apache-2.0

package modload

import (
	"strconv"
	"syscall"

	"safeload/guard"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// run runs a command of the configuration by the shell, with the module's name
// in MODPROBE_MODULE.
func (r *Request) run(kind, module, command string) (status int, err error) {
	env := &r.CommandEnvironment
	for _, o := range r.PassOn {
		env.appendOptions(o)
	}
	r.PassOn = nil
	env.Set("MODPROBE_MODULE", module)
	err = r.guarded().Command(guard.Command{Kind: kind, Module: module, Plain: kmod.PlainCommand(command)}, *env, func(env []string, look func() int) error {
		status, err = r.System.Command(command, env, look)
		return err
	})
	env.Unset("MODPROBE_MODULE")
	return status, err
}

// expandOptions replaces each $CMDLINE_OPTS of a command by the options. It does
// so once: a $CMDLINE_OPTS in the options themselves stays.
func expandOptions(command, options string) string {
	const variable = "$CMDLINE_OPTS"
	var out []byte
	for i := 0; i < len(command); {
		if len(command)-i >= len(variable) && command[i:i+len(variable)] == variable {
			out = append(out, options...)
			i += len(variable)
			continue
		}
		out = append(out, command[i])
		i++
	}
	return string(out)
}

// exitStatusOf is WEXITSTATUS. It is 0 for a command that a signal has ended.
func exitStatusOf(status int) int { return status >> 8 & 0xff }

// Environment is the environment of commands. It changes as setenv(3) changes one.
type Environment []string

// Get is getenv(3).
func (e Environment) Get(key string) (value string, ok bool) {
	for _, kv := range e {
		if len(kv) > len(key) && kv[len(key)] == '=' && kv[:len(key)] == key {
			return kv[len(key)+1:], true
		}
	}
	return "", false
}

// Set is setenv(3).
func (e *Environment) Set(key, value string) {
	for i, kv := range *e {
		if len(kv) > len(key) && kv[len(key)] == '=' && kv[:len(key)] == key {
			(*e)[i] = key + "=" + value
			return
		}
	}
	*e = append(*e, key+"="+value)
}

// Unset is unsetenv(3).
func (e *Environment) Unset(key string) {
	out := (*e)[:0:0]
	for _, kv := range *e {
		if len(kv) > len(key) && kv[len(key)] == '=' && kv[:len(key)] == key {
			continue
		}
		out = append(out, kv)
	}
	*e = out
}

// appendOptions adds to MODPROBE_OPTIONS, for the programs that install commands
// call.
func (e *Environment) appendOptions(value string) {
	if old, ok := e.Get("MODPROBE_OPTIONS"); ok {
		value = old + " " + value
	}
	e.Set("MODPROBE_OPTIONS", value)
}

// CommandError is an install command that failed. Its errno is EINVAL, as in
// libkmod.
type CommandError struct {
	Module, Command string
	Status          int   // its exit status, if Err is nil
	Err             error // it could not be started
}

// Error says which command failed and how.
func (e *CommandError) Error() string {
	text := "module " + e.Module + ": install command '" + e.Command + "'"
	if e.Err != nil {
		return text + " could not be run: " + strerror.Text(Errno(e.Err))
	}
	return text + " ended with status " + strconv.Itoa(e.Status)
}

// Unwrap gives EINVAL, and the cause if there is one.
func (e *CommandError) Unwrap() []error {
	if e.Err != nil {
		return []error{syscall.EINVAL, e.Err}
	}
	return []error{syscall.EINVAL}
}

// installCommand is command_do of libkmod.
func (r *Request) installCommand(m *kmod.Module, command string) error {
	status, err := r.run("install", m.Name, command)
	if err != nil {
		if r.System.Refused(err) {
			return err
		}
		r.Teller.Lib(kmod.LogErr, "command_do", "Could not run install command '"+command+
			"' for module "+m.Name+": "+strerror.Text(Errno(err))+"\n")
		return &CommandError{m.Name, command, 0, err}
	}
	if code := exitStatusOf(status); code != 0 {
		r.Teller.Lib(kmod.LogErr, "command_do", "Error running install command '"+command+
			"' for module "+m.Name+": retcode "+strconv.Itoa(code)+"\n")
		return &CommandError{m.Name, command, code, nil}
	}
	return nil
}
