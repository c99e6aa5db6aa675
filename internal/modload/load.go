// SPDX-License-Identifier: Apache-2.0

package modload

import (
	"errors"
	"strconv"
	"syscall"

	"safeload/finit"
	"safeload/guard"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// ErrBlacklisted says that the configuration does not let a module be loaded by
// the name that was asked for. modprobe says nothing of it.
const ErrBlacklisted = blacklisted("blacklisted by the configuration")

type blacklisted string

func (e blacklisted) Error() string { return string(e) }

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

// Load loads m and what it needs, as kmod_module_probe_insert_module does. A step
// before m that fails matters only if m requires it.
func (r *Request) Load(m *kmod.Module, params string) error {
	if !r.IgnoreLoaded && r.inKernel(m) {
		if r.FirstTime {
			return syscall.EEXIST
		}
		return nil
	}
	if m.Blacklisted() && (m.FromAlias() || r.UseBlacklist) {
		return ErrBlacklisted
	}
	var err error
	for _, s := range m.Plan(r.IgnoreCommand, params) {
		if !r.IgnoreLoaded && r.inKernel(s.Module) {
			err = syscall.EEXIST
		} else {
			r.Teller.Step(&s)
			if !r.DryRun {
				err = r.do(&s)
			}
		}
		switch {
		case err == nil:
		case Errno(err) == syscall.EEXIST && s.Module == m && r.FirstTime:
			return err
		case Errno(err) == syscall.EEXIST || !s.Required:
			err = nil
		default:
			return err
		}
	}
	return nil
}

func (r *Request) do(s *kmod.Step) error {
	m := s.Module
	if s.HasCommand {
		return r.installCommand(m, expandOptions(s.Command, s.Options))
	}
	return r.Submit(m, s.Options)
}

// Submit gives one module to the kernel, as kmod_module_insert_module does.
func (r *Request) Submit(m *kmod.Module, params string) error {
	path := m.Path()
	if path == "" {
		r.Teller.Lib(kmod.LogErr, "kmod_module_insert_module", "could not find module by name='"+m.Name+"'\n")
		return syscall.ENOENT
	}
	var flags finit.Flags
	if r.IgnoreModversions {
		flags |= finit.IgnoreModversions
	}
	if r.IgnoreVermagic {
		flags |= finit.IgnoreVermagic
	}
	err := r.guarded().Submit(guard.Load{Module: m.Name, Path: path}, func() error {
		return r.System.Insert(path, m.Name, params, flags)
	})
	TellDamage(r.Teller, err)
	if err != nil && !unread(err) && !r.System.Refused(err) {
		r.Teller.Lib(kmod.LogInfo, "kmod_module_insert_module",
			"Failed to insert module '"+path+"': "+strerror.Text(Errno(err))+"\n")
	}
	return err
}

// unread reports whether the file could not be opened or was too short. libkmod
// prints nothing about these two, and only returns them.
func unread(err error) bool {
	e, ok := err.(*finit.Error)
	return ok && (e.Op == "open" || e.Op == "read")
}

// damages are libkmod's messages, each with the function that prints it.
var damages = [...]struct{ text, function string }{
	finit.XZFormat:   {"xz: File format not recognized", "xz_uncompress_belch"},
	finit.XZOptions:  {"xz: Unsupported compression options", "xz_uncompress_belch"},
	finit.XZData:     {"xz: File is corrupt", "xz_uncompress_belch"},
	finit.XZEnd:      {"xz: Unexpected end of input", "xz_uncompress_belch"},
	finit.GzipHeader: {"gzip: unknown compression method", "kmod_file_load_zlib"},
	finit.GzipData:   {"gzip: invalid data", "kmod_file_load_zlib"},
	finit.GzipCheck:  {"gzip: incorrect data check", "kmod_file_load_zlib"},
	finit.ZstdSize:   {"zstd: Failed to determine decompression size", "kmod_file_load_zstd"},
	finit.ZstdData:   {"zstd: Data corruption detected", "kmod_file_load_zstd"},
	finit.ZstdEnd:    {"zstd: Src size is incorrect", "kmod_file_load_zstd"},
	finit.ZstdCheck:  {"zstd: Restored data doesn't match checksum", "kmod_file_load_zstd"},
	finit.ZstdSmall:  {"zstd: Destination buffer is too small", "kmod_file_load_zstd"},
}

// DamageText is libkmod's message for a damaged file.
func DamageText(d finit.Damage) string { return damages[d].text }

// TellDamage tells what libkmod prints when it cannot decompress a file, or cannot
// force a decompressed one.
func TellDamage(t Teller, err error) {
	if e, ok := err.(*finit.Error); ok && e.Op == "strip" && Errno(err) == syscall.ENODATA {
		t.Lib(kmod.LogErr, "do_init_module", "Failed to strip version information: "+strerror.Text(syscall.ENODATA)+"\n")
	}
	if d, ok := errors.AsType[finit.Damage](err); ok {
		w := damages[d]
		t.Lib(kmod.LogErr, w.function, w.text+"\n")
	}
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
