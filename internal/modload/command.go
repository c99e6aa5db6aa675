// SPDX-License-Identifier: Apache-2.0

package modload

import (
	"safeload/guard"
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
