// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func init() { tools["hold"] = hold }

const nobody = 1000 // a user with no rights

// hold makes tasks whose exec_update_lock is taken for ever, as any user can:
// each is in an execve(2) that closes a file of the user's own FUSE server, which
// does not answer.
//
//	hold DIR N               makes N of them; DIR/held has their pids, one a line, DIR/server the server's, and
//	                         DIR/flush.PID is there when PID waits
//	                         DIR/mapped has that of one whose memory is locked: its cmdline cannot be read
//	hold parent DIR COMMAND  starts the command as root, and becomes a user's task that is held
func hold(args []string) int {
	if len(args) < 2 {
		return fatal("hold DIR N, or hold parent DIR COMMAND...")
	}
	var err error
	switch args[0] {
	case "parent":
		err = holdParent(args[1], args[2:])
	case "user": // in a user namespace of its own, a user may mount FUSE (Linux 4.18)
		err = again(&syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: nobody, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: nobody, Size: 1}},
		}, "serve", args[1:]...)
	case "serve":
		err = holdServe(args[1], args[2])
	case "take":
		err = holdTake(args[1], args[2] == "bare")
	case "map":
		err = holdMap(args[1])
	default:
		if err = holdDir(args[0]); err == nil {
			err = again(&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}, "user", args...)
		}
	}
	if err != nil {
		return fatal("hold: %v", err)
	}
	return 0
}

func holdDir(dir string) error {
	if err := os.MkdirAll(dir+"/mnt", 0o755); err != nil {
		return err
	}
	for _, d := range []string{dir, dir + "/mnt"} {
		if err := os.Chown(d, nobody, nobody); err != nil {
			return err
		}
	}
	return os.Chmod("/dev/fuse", 0o666) // as udev does
}

// again runs this program once more, as another.
func again(attr *syscall.SysProcAttr, part string, args ...string) error {
	cmd := exec.Command("/proc/self/exe", append([]string{"hold", part}, args...)...)
	cmd.SysProcAttr = attr
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// holdServe is the server, and starts those who are held.
func holdServe(dir, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/fuse: %w", err)
	}
	s := &fuseServer{fd: fd, dir: dir, flushed: make(chan struct{}, 1024)}
	go s.run()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	if err := unix.Mount("hold", dir+"/mnt", "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := os.WriteFile(dir+"/server", []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return err
	}
	var held []string
	for i := range n {
		caps := "all"
		if i%2 == 1 {
			caps = "bare"
		}
		cmd := exec.Command("/proc/self/exe", "hold", "take", dir, caps)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		held = append(held, strconv.Itoa(cmd.Process.Pid))
		select {
		case <-s.flushed:
		case <-time.After(60 * time.Second):
			return fmt.Errorf("task %d closes no file", cmd.Process.Pid)
		}
		if i%4 >= 2 { // with a signal it waits in state D
			_ = cmd.Process.Signal(unix.SIGTERM)
		}
	}
	mapped := exec.Command("/proc/self/exe", "hold", "map", dir)
	mapped.Stderr = os.Stderr
	if err := mapped.Start(); err != nil {
		return err
	}
	for n := 0; !locked(mapped.Process.Pid); n++ {
		if n == 600 {
			return fmt.Errorf("task %d does not wait with its memory locked", mapped.Process.Pid)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := os.WriteFile(dir+"/mapped", []byte(strconv.Itoa(mapped.Process.Pid)+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(dir+"/held.new", []byte(strings.Join(held, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.Rename(dir+"/held.new", dir+"/held"); err != nil {
		return err
	}
	select {}
}

// holdTake opens the file and executes something.
func holdTake(path string, bare bool) error {
	if _, err := unix.Open(path+"/mnt/file", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if bare {
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&h, &none[0]); err != nil {
			return err
		}
	}
	return syscall.Exec("/proc/self/exe", []string{"vmtool"}, nil)
}

// holdMap has one thread read a page that never comes, and maps the file another
// way: fuse_file_mmap waits for that page, with the lock of this memory.
func holdMap(dir string) error {
	cached, err := unix.Open(dir+"/mnt/page", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	direct, err := unix.Open(dir+"/mnt/page", unix.O_RDONLY|unix.O_SYNC|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	go func() { _, _ = unix.Pread(cached, make([]byte, 1), 0) }()
	for n := 0; waiting(os.Getpid()) == 0; n++ {
		if n == 600 {
			return errors.New("the page is there")
		}
		time.Sleep(100 * time.Millisecond)
	}
	_, err = unix.Mmap(direct, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	if err == nil {
		return errors.New("map: it ended: the file is mapped")
	}
	return fmt.Errorf("map: it ended: %w", err)
}

// locked tells whether both threads of holdMap wait.
func locked(pid int) bool { return waiting(pid) == 2 }

// waiting counts the threads of a process in state D.
func waiting(pid int) (n int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte("State:\tD")) {
			n++
		}
	}
	return n
}

// holdParent leaves a command of root's below a task that is held.
func holdParent(dir string, args []string) error {
	server, err := os.ReadFile(dir + "/server")
	if err != nil {
		return err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := syscall.Setresgid(nobody, nobody, nobody); err != nil {
		return err
	}
	if err := syscall.Setresuid(nobody, nobody, nobody); err != nil {
		return err
	}
	return holdTake("/proc/"+string(server)+"/root"+dir, false)
}

// fuseServer is a file system with two files that never let go of who closes or reads it.
type fuseServer struct {
	fd      int
	dir     string
	flushed chan struct{}
}

// Requests and the layout of their answers: include/uapi/linux/fuse.h.
const (
	fuseLookup      = 1
	fuseForget      = 2
	fuseGetattr     = 3
	fuseOpen        = 14
	fuseRead        = 15
	fuseRelease     = 18
	fuseFlush       = 25
	fuseInit        = 26
	fuseInterrupt   = 36
	fuseBatchForget = 42
)

type fuseIn struct {
	Len, Opcode                 uint32
	Unique, Node                uint64
	UID, GID, PID, ExtensionPad uint32
}

type fuseAttr struct {
	Ino, Size, Blocks, Atime, Mtime, Ctime   uint64
	AtimeNS, MtimeNS, CtimeNS                uint32
	Mode, Links, UID, GID, Rdev, Blksize, Fl uint32
}

func fuseFile(node uint64) fuseAttr {
	a := fuseAttr{Ino: node, Size: 1 << 16, Links: 1, Mode: unix.S_IFREG | 0o755}
	if node == 1 {
		a.Links, a.Mode = 2, unix.S_IFDIR|0o755
	}
	return a
}

func (s *fuseServer) run() {
	buf := make([]byte, 256<<10)
	for {
		n, err := unix.Read(s.fd, buf)
		switch {
		case err == unix.EINTR, err == unix.ENOENT, err == unix.EAGAIN:
			continue
		case err == unix.EPERM: // not mounted yet
			time.Sleep(10 * time.Millisecond)
			continue
		case err != nil:
			return
		}
		var in fuseIn
		if binary.Read(bytes.NewReader(buf[:n]), binary.LittleEndian, &in) != nil {
			return
		}
		switch in.Opcode {
		case fuseInit:
			s.answer(in.Unique, 0, struct {
				Major, Minor, Readahead, Flags uint32
				Background, Congestion         uint16
				MaxWrite, TimeGran             uint32
				Rest                           [9]uint32
			}{Major: 7, Minor: 26, Flags: 1, MaxWrite: 4096, TimeGran: 1}) // FUSE_ASYNC_READ
		case fuseLookup:
			node := uint64(2)
			if bytes.HasPrefix(buf[40:n], []byte("page")) { // who opens the other one does not wait for its page
				node = 3
			}
			s.answer(in.Unique, 0, struct {
				Node, Generation, EntryValid, AttrValid uint64
				EntryNS, AttrNS                         uint32
				Attr                                    fuseAttr
			}{Node: node, EntryValid: 3600, AttrValid: 3600, Attr: fuseFile(node)})
		case fuseGetattr:
			s.answer(in.Unique, 0, struct {
				Valid     uint64
				NS, Dummy uint32
				Attr      fuseAttr
			}{Valid: 3600, Attr: fuseFile(in.Node)})
		case fuseOpen:
			var direct uint64 // FOPEN_DIRECT_IO
			if flags := buf[40:n]; len(flags) >= 4 && binary.LittleEndian.Uint32(flags)&unix.O_DSYNC != 0 {
				direct = 1
			}
			s.answer(in.Unique, 0, [2]uint64{0, direct})
		case fuseRelease:
			s.answer(in.Unique, 0, nil)
		case fuseFlush:
			_ = os.WriteFile(fmt.Sprintf("%s/flush.%d", s.dir, in.PID), nil, 0o644)
			s.flushed <- struct{}{}
		case fuseRead: // nor has this
		case fuseForget, fuseBatchForget, fuseInterrupt: // have no answer
		default:
			s.answer(in.Unique, -int32(unix.ENOSYS), nil)
		}
	}
}

func (s *fuseServer) answer(unique uint64, errno int32, body any) {
	var b bytes.Buffer
	size := 16
	if body != nil {
		size += binary.Size(body)
	}
	_ = binary.Write(&b, binary.LittleEndian, struct {
		Len    uint32
		Errno  int32
		Unique uint64
	}{uint32(size), errno, unique})
	if body != nil {
		_ = binary.Write(&b, binary.LittleEndian, body)
	}
	_, _ = unix.Write(s.fd, b.Bytes())
}
