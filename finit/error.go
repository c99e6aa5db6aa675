// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Error is a load or unload that failed. [errors.Is] finds its Errno, and
// [errors.As] the cause: a [Damage], or a [*Hindered].
type Error struct {
	// Op is what was tried: open, read, decompress, strip, finit_module,
	// init_module or delete_module.
	Op string
	// Module is the module's name as the caller gave it.
	Module string
	// File is the module's file; empty for delete_module.
	File string
	// Errno is the kernel's answer.
	Errno syscall.Errno
	// Err is the cause if Errno does not say it all (a damaged compressed
	// file), else nil. It wraps the errno.
	Err error
	// Answerer says who gave Errno to finit_module or init_module, if that is
	// known.
	Answerer Answerer
}

// Answerer is who answered a load: see [Inits].
type Answerer uint8

const (
	AnyOf     Answerer = iota // not known
	ByKernel                  // the kernel, before the module's init ran
	ByTheInit                 // the module's init
)

func newError(op, module, file string, err error) *Error {
	e := &Error{Op: op, Module: module, File: file, Errno: unix.EIO}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		e.Errno = errno
	}
	if _, bare := err.(syscall.Errno); !bare {
		e.Err = err
	}
	return e
}

// Unwrap returns the cause, which is the errno if there is no more to it.
func (e *Error) Unwrap() error {
	if e.Err != nil {
		return e.Err
	}
	return e.Errno
}

// Error says what was tried, on what, the errno and what it means for a
// module.
func (e *Error) Error() string {
	s := e.Op + " " + e.Module
	if e.File != "" {
		s += " (" + e.File + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	} else {
		s += ": " + e.Errno.Error()
	}
	if m := e.Meaning(); m != "" {
		s += ": " + m
	}
	return s
}

// Meaning says what the errno means for this operation, and what can be done. It
// is "" if the errno says it all. The kernel's log usually has the details.
func (e *Error) Meaning() string {
	switch e.Op {
	case "finit_module", "init_module":
		return e.loadMeaning()
	case "delete_module":
		return unloadMeaning(e.Errno)
	case "strip":
		if e.Errno == unix.ENODATA {
			return "it has no version magic to ignore; load it without force"
		}
	case "decompress":
		switch e.Errno {
		case unix.EOPNOTSUPP:
			return "neither the kernel nor this program can decompress it; store the module uncompressed"
		case unix.EFBIG:
			return "it decompresses to more than a module can be"
		}
	}
	return ""
}

const noModules = "this kernel has no loadable modules (CONFIG_MODULES)"

func (e *Error) loadMeaning() string {
	const init = "the module's init returned this"
	kernel := loadMeaning(e.Errno)
	switch {
	case e.Answerer == ByTheInit:
		return init
	case e.Answerer == ByKernel:
		return kernel
	case kernel == "":
		return init + ", or the kernel, whose log may say more"
	}
	return kernel + "; or " + init
}

// loadMeaning rests on kernel/module/main.c (elf_validity_cache_copy,
// check_modinfo, add_unformed_module, simplify_symbols, do_init_module),
// kernel/module/signing.c (module_sig_check) and finit_module(2).
func loadMeaning(errno syscall.Errno) string {
	switch errno {
	case unix.ENOEXEC:
		return "not a module for this kernel (damaged, another architecture or another version magic)"
	case unix.ENOENT:
		return "a symbol that the module needs is missing, or another module rejected it"
	case unix.EEXIST:
		return "a module of this name is already loaded"
	case unix.EBUSY:
		return "another load of this name ended without success, or a symbol's owner is still loading"
	case unix.ENOKEY:
		return "signature required, and this module has none or its key is not known"
	case unix.EKEYREJECTED:
		return "signature is wrong or its key was rejected"
	case unix.EBADMSG:
		return "signature is damaged"
	case unix.EPERM:
		return "needs CAP_SYS_MODULE, and kernel.modules_disabled=0; a locked-down kernel also needs a signature"
	case unix.EACCES:
		return "a security policy denies it"
	case unix.EINVAL:
		return "a parameter or the module's layout is wrong"
	case unix.ENOMEM:
		return "out of memory, or of address space for modules"
	case unix.ETXTBSY:
		return "the file is open for writing"
	case unix.ETIMEDOUT:
		return "an identical load took too long"
	case unix.EINTR:
		return "the wait for another load of this module was interrupted"
	case unix.EOPNOTSUPP:
		return "the kernel cannot decompress modules"
	case unix.ENOSYS:
		return noModules
	}
	return ""
}

// unloadMeaning rests on kernel/module/main.c, SYSCALL_DEFINE2(delete_module).
func unloadMeaning(errno syscall.Errno) string {
	switch errno {
	case unix.ENOENT:
		return "no module of this name is loaded"
	case unix.EWOULDBLOCK:
		return "the module is in use, or other modules depend on it"
	case unix.EBUSY:
		return "the module is not live, or has an init but no exit function"
	case unix.EPERM:
		return "needs CAP_SYS_MODULE, and kernel.modules_disabled=0"
	case unix.ENOSYS:
		return noModules
	}
	return ""
}
