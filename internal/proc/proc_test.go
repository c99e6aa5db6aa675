// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestSelf(t *testing.T) {
	p, err := OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	pid := os.Getpid()
	s, err := p.ProcessStat(pid)
	if err != nil || s.TID != pid || s.PPID != os.Getppid() || s.Start == 0 || s.Threads < 1 || s.Kthread() {
		t.Errorf("stat %+v, %v", s, err)
	}
	if n := p.Self(); n != pid {
		t.Errorf("self is %d, want %d", n, pid)
	}
	found := false
	if err := p.PIDs(func(n int) bool { found = found || n == pid; return true }); err != nil || !found {
		t.Errorf("not among the processes: %v", err)
	}
	if n, ok := p.Switches(pid, pid); !ok || n == 0 {
		t.Errorf("switches %d %v", n, ok)
	}
	f, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if o, err := p.File(pid, int(f.Fd())); err != nil || o.Path != "/etc/passwd" || o.Ino == 0 {
		t.Errorf("file %+v, %v", o, err)
	}
}

func TestParseStat(t *testing.T) {
	const rest = " S 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 1234 0 0\n"
	for text, want := range map[string]Stat{
		"7 (kworker/u8:0)" + rest: {TID: 7, PPID: 2, State: 'S', Flags: 69238880, Threads: 1, Start: 1234, Comm: "kworker/u8:0"},
		"7 (a) R 1 (b)" + rest:    {TID: 7, PPID: 2, State: 'S', Flags: 69238880, Threads: 1, Start: 1234, Comm: "a) R 1 (b"},
	} {
		if got, ok := parseStat([]byte(text)); !ok || got != want {
			t.Errorf("%q: %+v %v", text, got, ok)
		}
	}
	for _, bad := range []string{"", "7", "7 (", "7 (x)", "7 (x) ", "x (x)" + rest, "7 (x) S a 0\n", "(x) 7"} {
		if got, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestParseSyscall(t *testing.T) {
	c, ok := parseSyscall([]byte("379 0x3 0xb6f0 0x0 0x1 0x2 0x4 0xbe8 0xb6e\n"))
	if !ok || c.NR != 379 || c.Args[0] != 3 || c.Args[5] != 4 || c.SP != 0xbe8 {
		t.Errorf("%+v %v", c, ok)
	}
	if c, ok := parseSyscall([]byte("-1 0x0 0x0\n")); !ok || c.NR != -1 || c.Kind() != Other {
		t.Errorf("%+v %v", c, ok)
	}
	if _, ok := parseSyscall([]byte("running\n")); ok {
		t.Error("running is a call")
	}
}

// A thread of 64 bits may have its stack below 4 GiB.
func TestBits(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("a 32-bit kernel has no others, and a 32-bit program goes by the stack")
	}
	p, err := OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if n := p.bits(os.Getpid()); n != 64 {
		t.Errorf("this program has %d bits", n)
	}
	word := func(n int, v ...uint64) (b []byte) {
		for _, w := range v {
			b = append(b, binary.LittleEndian.AppendUint64(nil, w)[:n]...)
		}
		return b
	}
	dir := t.TempDir()
	fake, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	if err := os.Mkdir(filepath.Join(dir, "7"), 0o700); err != nil {
		t.Fatal(err)
	}
	finit := map[string][2]string{"amd64": {"313", "350"}, "arm64": {"273", "379"}}[runtime.GOARCH]
	for name, tt := range map[string]struct {
		auxv []byte
		want [2]Kind // of the number of 64 bits, of that of 32
	}{
		"64 bits":  {word(8, 33, 1<<40, 16, 4, 3, 64, 4, 56, 5, 9, 0, 0), [2]Kind{FinitModule, Other}},
		"32 bits":  {word(4, 33, 1<<20, 16, 4, 3, 52, 4, 32, 5, 9, 0, 0), [2]Kind{Other, FinitModule}},
		"unknown":  {word(8, 0, 0), [2]Kind{Other, Other}},
		"cut":      {word(8, 4), [2]Kind{Other, Other}},
		"not read": {nil, [2]Kind{Other, Other}},
	} {
		_ = os.Remove(filepath.Join(dir, "7/auxv"))
		if tt.auxv != nil {
			if err := os.WriteFile(filepath.Join(dir, "7/auxv"), tt.auxv, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for i, nr := range finit {
			for sp, want := range map[string]Kind{"0x80000000": tt.want[i], "0x7ffd00000000": [...]Kind{FinitModule, Other}[i]} {
				line := nr + " 0x3 0x0 0x0 0x0 0x0 0x0 " + sp + " 0x1000\n"
				if err := os.WriteFile(filepath.Join(dir, "7/syscall"), []byte(line), 0o600); err != nil {
					t.Fatal(err)
				}
				if c, ok := fake.Syscall(7, 7); !ok || c.Kind() != want {
					t.Errorf("%s, call %s with the stack at %s: %v %v, want %v", name, nr, sp, c.Kind(), ok, want)
				}
			}
		}
	}
}

func TestModuleName(t *testing.T) {
	for path, want := range map[string]string{
		"/lib/modules/6.1/kernel/crypto/aes-arm-bs.ko.xz": "aes_arm_bs",
		"x.ko":              "x",
		"/a/b.ko (deleted)": "b",
		"/a.ko.d/plain":     "plain",
		"":                  "",
	} {
		if got := ModuleName(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestExecStart(t *testing.T) {
	for text, want := range map[string]uint64{
		"x (7, #threads: 1)\n---\nse.exec_start                                :        123456.000789\n": 123456_000789,
		"se.exec_start : 0.000001\n": 1,
		"se.exec_start : 0.000000\n": 0, // asleep, and moved to another processor
		"se.exec_start : x\n":        0,
		"se.vruntime : 1.000000\n":   0,
	} {
		if got, ok := parseExecStart([]byte(text)); got != want || ok != (want != 0) {
			t.Errorf("%q: %d, %v, want %d", text, got, ok, want)
		}
	}
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte("7 (a) S 2 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1234 0 0\n"))
	f.Add([]byte("379 0x3 0xb6f0 0x0 0x1 0x2 0x4 0xbe8 0xb6e\n"))
	f.Add([]byte("voluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t4\n"))
	f.Add([]byte("se.exec_start        :       123456.123456\n"))
	f.Add([]byte("\x7fELF\x01\x01"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		parseStat(b)
		parseSyscall(b)
		parseSwitches(b)
		parseExecStart(b)
		ParseState(b)
		parseBits(b)
		elfName(func(to []byte, off uint64) bool {
			if off > uint64(len(b)) || uint64(len(to)) > uint64(len(b))-off {
				return false
			}
			copy(to, b[off:])
			return true
		})
	})
}

func TestOutlineUser(t *testing.T) {
	for text, want := range map[string]int64{
		"Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n": 2,
		"Uid:\t0\t0\t0\t0\n":                             0,
		// Of a container's user, often; an int has no room for them on 32 bits.
		"Uid:\t0\t2147483648\t0\t0\n": 1 << 31,
		"Uid:\t0\t4294967294\t0\t0\n": 1<<32 - 2,
		"Uid:\t0\t4294967296\t0\t0\n": -1,
		"Uid:\t1\n":                   -1, "Uid:\t1\tx\t1\t1\n": -1, "Name:\tUid:\t1\t1\n": -1, "": -1,
	} {
		if got, _ := parseOutline([]byte(text)); got.User != want {
			t.Errorf("%q: %d, want %d", text, got.User, want)
		}
	}
}

func TestMayLoad(t *testing.T) {
	for text, want := range map[string]bool{
		"Name:\tx\nCapEff:\t000001ffffffffff\n": true,
		"Name:\tx\nCapEff:\t0000000000010000\n": true,
		"Name:\tx\nCapEff:\t000001fffffeffff\n": false,
		"Name:\tx\nCapEff:\t0000000000000000\n": false,
		"Name:\tx\n":                            true,
		"":                                      true,
	} {
		if got := parseMayLoad([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	p, err := OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if os.Geteuid() != 0 {
		t.Skip("only root sees the namespaces of others and can change its user")
	}
	may := func(attr *syscall.SysProcAttr) (bool, error) {
		cmd := exec.Command("/bin/sleep", "60")
		cmd.SysProcAttr = attr
		if err := cmd.Start(); err != nil {
			return false, err
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		return p.MayLoad(cmd.Process.Pid, cmd.Process.Pid), nil
	}
	if got, err := may(nil); err != nil || got != p.MayLoad(os.Getpid(), os.Getpid()) {
		t.Errorf("a child of ours: %v, %v", got, err)
	}
	if got, err := may(&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}); err != nil || got {
		t.Errorf("nobody: %v, %v", got, err)
	}
	got, err := may(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 65534, Size: 1}}})
	if err != nil {
		t.Skipf("no user namespace here: %v", err)
	}
	if got {
		t.Error("root of another user namespace may load modules")
	}
}

// Only a plain file is opened, whatever a descriptor leads to.
func TestOpenFile(t *testing.T) {
	p, err := OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dir := t.TempDir()
	plain, fifo := filepath.Join(dir, "plain"), filepath.Join(dir, "fifo")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{plain: true, fifo: false, dir: false, "/dev/null": false} {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		h, owner, err := p.OpenFile(os.Getpid(), fd)
		if (err == nil) != want || want && int(owner) != os.Geteuid() {
			t.Errorf("%s: %v, owner %d", path, err, owner)
		}
		if err == nil {
			var b [2]byte
			if n, err := unix.Read(h, b[:]); n != 1 || err != nil {
				t.Errorf("%s: read %d, %v", path, n, err)
			}
			unix.Close(h)
		}
		unix.Close(fd)
	}
}

func TestParams(t *testing.T) {
	p, err := OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	text := []byte("alg=recurse mode=1\x00and more")
	nr := map[string][2]int64{"amd64": {313, 175}, "arm64": {273, 105}, "arm": {379, 128}}[runtime.GOARCH]
	at := uint64(uintptr(unsafe.Pointer(&text[0])))
	var here byte // tells the call of a 64-bit program
	for i, c := range []Call{
		{NR: nr[0], Args: [6]uint64{3, at}, SP: uint64(uintptr(unsafe.Pointer(&here)))},
		{NR: nr[1], Args: [6]uint64{1, 2, at}, SP: uint64(uintptr(unsafe.Pointer(&here)))},
	} {
		if got, ok := p.Params(os.Getpid(), &c); !ok || got != "alg=recurse mode=1" {
			t.Errorf("%d: %q, %v", i, got, ok)
		}
	}
	if got, ok := p.Params(os.Getpid(), &Call{NR: nr[0], SP: 1 << 40}); ok {
		t.Errorf("at no address: %q", got)
	}
}
