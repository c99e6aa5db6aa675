// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRecords: what is read back is what was written, and nothing else.
func TestRecords(t *testing.T) {
	f := Failure{File: Inode{1<<63 + 1, 7}, ByFile: true, Errno: 19, Since: 5, Ended: 9, Boot: "b"}
	if got, ok := parseFailure(f.Format()); !ok || got != f {
		t.Errorf("%+v %v, want %+v", got, ok, f)
	}
	l := Look{Began: 5, Ended: 9, Strangers: true, Waiting: 45, Boot: "b"}
	if got, ok := parseLooked(l.Format()); !ok || got != l {
		t.Errorf("%+v %v, want %+v", got, ok, l)
	}
	for _, bad := range []string{"", "schema=1\n", "schema=1\nerrno=0\n", "schema=1\nerrno=5000\n", "schema=2\nerrno=1\nboot=b\n", "schema=1\nerrno=1\n", "errno\n", "schema=1\nerrno=-1\n"} {
		if _, ok := parseFailure([]byte(bad)); ok {
			t.Errorf("%q is taken for a failure", bad)
		}
	}
	for _, bad := range []string{"", "schema=2\n", "schema=1\nbegan=1\nended=1\n", "schema=1\nboot=b\nbegan=2\nended=1\n", "schema=1\nbegan=x\n"} {
		if _, ok := parseLooked([]byte(bad)); ok {
			t.Errorf("%q is taken for a look", bad)
		}
	}
	for at, want := range map[int64]bool{4: false, 5: true, 9: true, 10: false} {
		if f.Overlaps(at) != want {
			t.Errorf("under way at %d: %v, want %v", at, !want, want)
		}
	}
}

// What is noted of one boot does not count after the next.
func TestBuried(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has a registry")
	}
	r := &Registry{dir: filepath.Join(t.TempDir(), "run"), fd: -1}
	defer r.Close()
	r.MarkDead("m", "boot.7")
	r.MarkDead("../m", "boot.7")
	for number, want := range map[string]bool{"boot.7": true, "boot.8": false, "toob.7": false, "": false} {
		if got := r.IsDead("m", number); got != want {
			t.Errorf("%q: %v, want %v", number, got, want)
		}
	}
	if r.IsDead("n", "boot.7") {
		t.Error("another module is dead, too")
	}
	if err := unix.Symlinkat("dead-m", r.fd, "dead-n"); err != nil {
		t.Fatal(err)
	}
	if r.IsDead("n", "boot.7") {
		t.Error("a link is followed")
	}
}

// A memfd that could be executed is refused by vm.memfd_noexec=2.
func TestAnnounceSealed(t *testing.T) {
	if _, err := os.Stat("/proc/sys/vm/memfd_noexec"); err != nil {
		t.Skipf("a kernel before 6.3: %v", err)
	}
	r := Registry{fd: -1}
	if err := r.Announce(Entry{PID: 1, State: StateCommand, Token: NewToken()}); err != nil {
		t.Fatal(err)
	}
	defer r.withdraw()
	const sealExec = 0x20 // F_SEAL_EXEC
	if seals, err := unix.FcntlInt(uintptr(r.memory), unix.F_GET_SEALS, 0); err != nil || seals&sealExec == 0 {
		t.Errorf("seals %#x, %v: it may be executed", seals, err)
	}
}

// TestRetractUnlocks: who has refused a load and taken his entry away keeps nobody
// waiting, however long he takes to end.
func TestRetractUnlocks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "safeload")
	r, other := New(dir), New(dir)
	defer r.Close()
	defer other.Close()
	if err := r.Publish(Entry{PID: 1, Start: 1, State: StateWait, Module: "a", Token: NewToken()}); err != nil {
		t.Fatal(err)
	}
	if !r.Lock() || other.Lock() {
		t.Fatal("the lock holds nobody off")
	}
	r.Retract()
	if r.Locked() || !other.Lock() {
		t.Error("still held after the entry was taken away")
	}
}
