// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// MayLoad tells whether a thread has the right to load modules: CAP_SYS_MODULE
// (may_init_module in kernel/module/main.c) in our user namespace. One that
// only seems to be in finit_module has not: anybody can hold a task of his own
// before the call, by seccomp(2) or ptrace(2). True where the kernel does not
// say, false for a thread that is gone.
func (f *FS) MayLoad(pid, tid int) bool { return f.Capable(pid, tid) && f.OurUsers(pid) }

// Capable is the part of [FS.MayLoad] that each thread has for itself: the
// capability, in whatever user namespace.
func (f *FS) Capable(pid, tid int) bool {
	b, err := f.readShort(ownPath(pid, tid, "status"), false)
	return err == nil && parseMayLoad(b)
}

// CannotLoad is the contrary of [FS.MayLoad], where it is certain, for a caller
// in the machine's first user namespace.
func (f *FS) CannotLoad(pid, tid int) bool {
	b, err := f.readShort(ownPath(pid, tid, "status"), false)
	if err != nil {
		return false
	}
	if !parseMayLoad(b) {
		return true
	}
	if !f.enter(pid) {
		return false
	}
	defer f.leave()
	var st unix.Stat_t
	err = unix.Fstatat(f.fd, Itoa(pid)+"/ns/user", &st, 0)
	return err == nil && uint64(st.Ino) != initialUsers
}

// OurUsers is the part of [FS.MayLoad] that all threads of a process share
// (userns_install in kernel/user_namespace.c and clone(2) see to that): a user
// namespace of one's own gives all capabilities, in it alone.
func (f *FS) OurUsers(pid int) bool {
	if f.userns == "" {
		if f.userns = f.link("self/ns/user"); f.userns == "" {
			f.userns = "?" // CONFIG_USER_NS is not set
		}
	}
	if f.userns == "?" {
		return true
	}
	if !f.enter(pid) {
		return false
	}
	defer f.leave()
	return f.userns == f.link(Itoa(pid)+"/ns/user")
}

// sysModule is CAP_SYS_MODULE.
const sysModule = 16

func parseMayLoad(status []byte) bool {
	may := true
	Lines(status, func(line []byte) bool {
		rest, is := bytes.CutPrefix(line, []byte("CapEff:"))
		if is {
			caps, ok := Hex(bytes.TrimSpace(rest))
			may = !ok || caps&(1<<sysModule) != 0
		}
		return !is
	})
	return may
}
