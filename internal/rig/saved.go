// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"safeload/internal/rig/kernels"
)

// A saved guest is one that has booted and waits for what it is to do: QEMU's migration stream in the cache. What it
// needs then comes as a line through a port of a virtio console, and on a virtio disk: an archive with all that differs
// from its root.

// saved is a saved guest in the cache.
type saved struct {
	dir  string
	base Packed // what its root has
	none bool   // the kernel has no port: its guests are booted
}

// errNoPort: a kernel of somebody's own may have no virtio console or disk, or not as modules that --modules has.
var errNoPort = errors.New("no virtio console, or no virtio disk, in this kernel: its guests are booted, not resumed")

// diskSize is that of the disk in bytes: a saved guest knows it, so it is the same for all. Most of the file is a hole.
const diskSize = 1 << 30

func (s saved) state() string { return filepath.Join(s.dir, "state") }

// value is a path among QEMU's options, where a comma ends it.
func value(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// migrateTo is the monitor's command that writes the state to a file, by a shell.
func migrateTo(file string) string {
	command, _ := json.Marshal(map[string]any{"execute": "migrate", "arguments": map[string]string{"uri": "exec:cat >" + kernels.Quote(file)}})
	return string(command)
}

// channel are QEMU's arguments for the port, whose other end is the socket, and the disk, which is in the file.
func channel(socket, disk string) []string {
	return []string{"-device", "virtio-serial-pci", "-chardev", "socket,id=rig,path=" + value(socket) + ",server=on,wait=off",
		"-device", "virtserialport,chardev=rig,name=rig",
		"-drive", "if=none,id=work,format=raw,readonly=on,file=" + value(disk), "-device", "virtio-blk-pci,drive=work"}
}

// disk makes the file of a disk: what fill writes, and nothing after it.
func disk(path string, fill func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := fill(f); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > diskSize {
		return fmt.Errorf("%s: %d bytes, and a disk of the guest has %d", path, info.Size(), diskSize)
	}
	return errors.Join(f.Truncate(diskSize), f.Close())
}

// save gives the saved guest for g's kernel, machine and size, with or without a helper, made if the cache has none.
func (r *run) save(ctx context.Context, g *Guest, slot *os.File) (saved, error) {
	base := &Guest{Kernel: g.Kernel, Machine: g.Machine, Group: "saved", Mode: Stock, kernel: g.kernel, size: g.size, spare: g.spare}
	without := helperless(g.Cases)
	key := fmt.Sprint(g.Kernel.Key, g.Machine.Name, g.size, without)
	b := r.savedBy.take(key)
	defer b.Unlock()
	if b.value.none {
		return saved{}, errNoPort
	}
	if b.value.dir != "" && b.value.used() == nil {
		return b.value, nil
	}
	sum := sha256.Sum256([]byte(key))
	base.dir = filepath.Join(r.work, "saved-"+hex.EncodeToString(sum[:])[:12])
	if err := os.MkdirAll(base.dir, 0o755); err != nil {
		return saved{}, err
	}
	if err := r.kitchen.root(ctx, g.kernel, base.dir, rootOfSaved, nil, true); err != nil {
		return saved{}, err
	}
	if without {
		if err := os.Remove(filepath.Join(base.dir, "root/sbin/modprobe")); err != nil {
			return saved{}, err
		}
	}
	initrd := filepath.Join(base.dir, "initrd")
	f, err := os.Create(initrd)
	if err != nil {
		return saved{}, err
	}
	packed, err := Pack(f, filepath.Join(base.dir, "root"), nil)
	if err = errors.Join(err, f.Close(), os.RemoveAll(filepath.Join(base.dir, "root"))); err != nil {
		return saved{}, err
	}
	defer os.Remove(initrd)
	boot, err := r.bootArgs(base, initrd, "saved")
	if err != nil {
		return saved{}, err
	}
	id, err := r.savedID(base, packed)
	if err != nil {
		return saved{}, err
	}
	s := saved{dir: filepath.Join(r.cache, "saved", g.Kernel.Key+"-"+id), base: packed}
	err = r.kitchen.cache.Locked(ctx, "saved-"+g.Kernel.Key+"-"+id, func() error {
		if _, err := os.Stat(s.state()); err == nil {
			return s.used()
		}
		r.say.line("%s: booting the guest that the cases start from", g.Kernel.Key)
		return errors.Join(r.saveNow(ctx, base, boot, s, slot), boundSaved(filepath.Dir(s.dir), savedMost, time.Now()))
	})
	switch {
	case err == nil:
		b.value = s
	case errors.Is(err, errNoPort):
		r.say.line("%s: %v", g.Kernel.Key, err)
		b.value.none = true
	}
	return s, err
}

// savedID is a sum of all that a saved guest depends on.
func (r *run) savedID(g *Guest, packed Packed) (string, error) {
	version, err := exec.Command(g.Machine.QEMU, "--version").Output()
	if err != nil {
		return "", err
	}
	image, err := os.ReadFile(g.kernel.Image)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%q\x00%q\x00%d\x00%s\x00%s\x00", version, g.Machine.command(g.size), channel("", ""), diskSize, g.cmdline("saved"), packed.Sum())
	_, _ = h.Write(image)
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// saveNow boots it until it waits, and writes its state.
func (r *run) saveNow(ctx context.Context, g *Guest, boot []string, s saved, slot *os.File) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	console, control := filepath.Join(g.dir, "console"), filepath.Join(g.dir, "qmp")
	_ = os.Remove(console) // of a boot that failed
	args := append(g.Machine.command(g.size), "-serial", "file:"+console, "-qmp", "unix:"+value(control)+",server=on,wait=off")
	empty := filepath.Join(g.dir, "disk")
	if err := disk(empty, func(io.Writer) error { return nil }); err != nil {
		return err
	}
	args = append(append(args, channel(filepath.Join(g.dir, "port"), empty)...), boot...)
	q, err := startQEMU(args, slot, false)
	if err != nil {
		return err
	}
	defer q.stop()
	for until := time.Now().Add(20 * time.Minute); !tailHas(console, "#READY#"); time.Sleep(100 * time.Millisecond) {
		if q.over() || ctx.Err() != nil || time.Now().After(until) {
			said, _ := os.ReadFile(console)
			if bytes.Contains(said, []byte("#NOPORT#")) {
				return errors.Join(errNoPort, os.RemoveAll(s.dir))
			}
			return fmt.Errorf("the guest to be saved did not come to its end: %s %s", q.stderr.String(), tail(said, 400))
		}
	}
	if tailHas(console, "#PAN#") {
		r.say.line("%s: its software PAN could not be switched off, so its cases take half as long again", g.Kernel.Key)
	}
	m, err := dialQMP(control)
	if err != nil {
		return err
	}
	defer m.Close()
	part := s.state() + ".part"
	// QEMU stops the guest by itself; one that was stopped before would not go on when it is resumed.
	for _, c := range []string{
		`{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":1099511627776}}`,
		migrateTo(part)} {
		if _, err := m.do(c); err != nil {
			return err
		}
	}
	for {
		answer, err := m.do(`{"execute":"query-migrate"}`)
		if err != nil {
			return err
		}
		var status struct{ Status string }
		if err := json.Unmarshal(answer, &status); err != nil {
			return err
		}
		switch status.Status {
		case "completed":
			return os.Rename(part, s.state())
		case "failed", "cancelled":
			return fmt.Errorf("QEMU could not save the guest: %s", answer)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func tail(b []byte, most int) []byte {
	if len(b) > most {
		b = b[len(b)-most:]
	}
	return b
}

// resume runs the guest from a saved one.
func (r *run) resume(ctx context.Context, g *Guest, slot *os.File) (string, error) {
	s, err := r.save(ctx, g, slot)
	if err != nil {
		return "", err
	}
	archive, root := filepath.Join(g.dir, "disk"), filepath.Join(g.dir, "root")
	defer os.Remove(archive)
	if err := disk(archive, func(w io.Writer) error { _, err := Pack(w, root, s.base); return err }); err != nil {
		return "", err
	}
	if err := os.RemoveAll(root); err != nil {
		return "", err
	}
	port := filepath.Join(g.dir, "port")
	serial := "file:" + filepath.Join(g.dir, "console")
	if g.Mode == Shell {
		serial = "mon:stdio"
	}
	args := append(append(g.Machine.command(g.size), "-serial", serial), channel(port, archive)...)
	// QEMU wants the kernel's arguments again only for what it puts into memory, which the state has.
	args = append(args, "-incoming", "exec:cat "+kernels.Quote(s.state()))
	q, err := startQEMU(args, slot, g.Mode == Shell)
	if err != nil {
		return "", err
	}
	if err := deliver(q, port, r.words(g)); err != nil {
		q.stop()
		return "", fmt.Errorf("%w: %s", err, q.stderr.String())
	}
	r.attend(ctx, g, q, nil)
	return g.why(q), nil
}

// deliver tells the guest that its work is there: the time, something random, as each is saved with the same pool, and
// init's arguments.
func deliver(q *qemu, port, init string) error {
	var conn net.Conn
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var err error
		if conn, err = net.Dial("unix", port); err == nil {
			break
		}
		if q.over() || time.Now().After(until) {
			return fmt.Errorf("the resumed guest takes nothing: %w", err)
		}
	}
	var seed [32]byte
	_, _ = rand.Read(seed[:])
	go func() {
		// It stays open until QEMU ends.
		_, _ = fmt.Fprintf(conn, "%d %x %s\n", time.Now().Unix(), seed, init)
		<-q.ended
		_ = conn.Close()
	}()
	return nil
}

// qmp is a connection to QEMU's monitor.
type qmp struct {
	net.Conn
	in *bufio.Reader
}

func dialQMP(socket string) (*qmp, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	m := &qmp{conn, bufio.NewReader(conn)}
	if _, err := m.in.ReadString('\n'); err != nil {
		return nil, err
	}
	_, err = m.do(`{"execute":"qmp_capabilities"}`)
	return m, err
}

// do runs a command, and passes over the events that come in between.
func (m *qmp) do(command string) (json.RawMessage, error) {
	if _, err := io.WriteString(m, command+"\n"); err != nil {
		return nil, err
	}
	for {
		l, err := m.in.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		var answer struct{ Return, Error json.RawMessage }
		if err := json.Unmarshal(l, &answer); err != nil {
			return nil, err
		}
		if answer.Error != nil {
			return nil, fmt.Errorf("QEMU: %s: %s", command, answer.Error)
		}
		if answer.Return != nil {
			return answer.Return, nil
		}
	}
}
