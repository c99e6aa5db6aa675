// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Inits counts the module inits that one thread has run to their end. If one has
// ended, the kernel's answer to the load is that init's; if none has, the answer
// is the kernel's own. do_init_module fails with the result of do_one_initcall,
// and nothing after it can fail. The errno alone does not tell the two apart: an
// init may return any.
//
// Inits counts the tracepoint initcall:initcall_finish (since Linux 4.18) by
// perf_event_open(2), in this thread alone. It changes nothing for other tasks,
// and leaves nothing behind. It reads the tracepoint's number from tracefs, but
// does not mount it anywhere.
type Inits struct{ fd int }

// CountInits begins to count. It ties the caller's goroutine to its thread until
// [Inits.Close]. It needs CAP_PERFMON or CAP_SYS_ADMIN, and a kernel with
// CONFIG_PERF_EVENTS and CONFIG_EVENT_TRACING that is not locked down.
func CountInits() (*Inits, error) {
	id, err := tracepoint("events/initcall/initcall_finish/id")
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	return &Inits{fd}, nil
}

// Ended is how many have ended since.
func (i *Inits) Ended() (n uint64, ok bool) {
	var b [8]byte
	got, err := unix.Read(i.fd, b[:])
	return binary.NativeEndian.Uint64(b[:]), err == nil && got == len(b)
}

// Close ends the count.
func (i *Inits) Close() {
	_ = unix.Close(i.fd)
	runtime.UnlockOSThread()
}

// tracepoint reads the number of an event from the mounted tracefs, or from one of
// our own that nobody else sees (since Linux 5.2).
func tracepoint(file string) (uint64, error) {
	for _, dir := range []string{"/sys/kernel/tracing/", "/sys/kernel/debug/tracing/"} {
		if id, err := number(unix.AT_FDCWD, dir+file); err == nil {
			return id, nil
		}
	}
	fs, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return 0, err
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(root)
	return number(root, file)
}

func number(dir int, file string) (n uint64, err error) {
	fd, err := unix.Openat(dir, file, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var b [24]byte
	got, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, err
	}
	for _, c := range b[:got] {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	if n == 0 {
		return 0, unix.EINVAL
	}
	return n, nil
}
