// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"safeload/internal/kmodtest"
)

const hostileVariable = "SAFELOAD_TEST_DEPMOD_ROOT"

func TestMain(m *testing.M) {
	if root := os.Getenv(hostileVariable); root != "" {
		os.Exit(Main(Env{Args: []string{"depmod", "-b", root, "-C", filepath.Join(root, "depmod.d"), "6.1"}, Stdout: os.Stdout}))
	}
	os.Exit(m.Run())
}

// sameName is a module in which each of many symbols has the same long name, or
// rather the end of one: to read them all would take hours.
func sameName(t *testing.T, prefix string) []byte {
	b := object(nil, nil, []string{"x"})
	le := binary.LittleEndian
	at := len(b)
	const symbols, long = 1 << 20, 8 << 20
	table := make([]byte, 24*symbols)
	for i := 24; i < len(table); i += 24 {
		le.PutUint32(table[i:], 1)
		if prefix != "" {
			le.PutUint16(table[i+6:], 0xfff1)
		}
	}
	b = append(append(append(b, table...), 0), prefix...)
	b = append(b, bytes.Repeat([]byte("a"), long)...)
	shoff := le.Uint64(b[40:])
	le.PutUint64(b[shoff+2*64+24:], uint64(at))
	le.PutUint64(b[shoff+2*64+32:], uint64(len(table)))
	le.PutUint64(b[shoff+3*64+24:], uint64(at+len(table)))
	le.PutUint64(b[shoff+3*64+32:], long+1)
	return b
}

// readers is how many modules are read at a time.
const readers = 8

// pack compresses by gzip or xz.
func pack(t *testing.T, program string, data []byte) []byte {
	cmd := exec.Command(program, "-1")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Whoever can write to a tree or an image can make depmod neither wait nor take
// the memory of the machine, and the modules beside what he put there are still in the
// indexes.
func TestHostileTree(t *testing.T) {
	zst, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	files := some()
	// As many of each kind as there are readers.
	bomb := make([]byte, 100<<20)
	frame := zst.EncodeAll(bomb, nil)
	twice := append(zst.EncodeAll([]byte("begins small"), nil), frame...)
	gz, xz := pack(t, "gzip", bomb), pack(t, "xz", bomb)
	for i := range readers {
		name := fmt.Sprint("kernel/bomb", i)
		files[name+"a.ko.zst"] = frame
		files[name+"b.ko.zst"] = twice
		files[name+"c.ko.gz"] = gz
		files[name+"d.ko.xz"] = xz
	}
	files["kernel/huge.ko.zst"] = []byte("\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\x00\x00") // says that it has 2^48 bytes
	files["kernel/needs.ko"] = sameName(t, "")
	files["kernel/exports.ko"] = sameName(t, "__crc_")
	root := tree(t, files)
	dir := filepath.Join(root, "lib/modules/6.1")
	conf := filepath.Join(root, "depmod.d")
	if err := os.Mkdir(conf, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir + "/kernel/pipe.ko", dir + "/kernel/pipe.ko.xz", conf + "/pipe.conf"} {
		if err := unix.Mkfifo(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"modules.order", "modules.builtin"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(dir + "/modules.builtin.modinfo"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir+"/modules.builtin.modinfo", 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir + "/kernel/zero.ko", dir + "/kernel/zero.ko.gz", dir + "/modules.order", conf + "/zero.conf"} {
		if err := os.Symlink("/dev/zero", path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("..", dir+"/kernel/loop"); err != nil {
		t.Fatal(err)
	}
	for path, size := range map[string]int64{dir + "/kernel/sparse.ko": 900 << 20, dir + "/kernel/sparse2.ko": 1 << 40,
		dir + "/modules.builtin": 1 << 40, conf + "/sparse.conf": 1 << 40} {
		if err := os.WriteFile(path, []byte("\x7fELF\x02\x01\x01"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), hostileVariable+"="+root, fmt.Sprint("GOMAXPROCS=", readers))
	done := time.AfterFunc(10*time.Minute, func() { _ = cmd.Process.Kill() })
	out, err := cmd.CombinedOutput()
	if !done.Stop() {
		t.Fatal("depmod does not end")
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	// Of the bombs one is in memory at a time, with what the other readers may have before
	// they know that theirs is one, the names of one module and what is mapped.
	if used := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss / 1024; used > 350*kmodtest.Shadow {
		t.Errorf("took %d MiB", used)
	}
	alias, err := os.ReadFile(dir + "/modules.alias")
	if err != nil || !bytes.Contains(alias, []byte("alias x-y c\n")) {
		t.Errorf("modules.alias: %q, %v", alias, err)
	}
}
