// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Learned is what the programs need to know of this kernel and no header says.
type Learned struct {
	// Idempotent: finit_module waits by inode (6.5 and later).
	Idempotent bool
	// InodeOff is the offset of f_inode in struct file, in bytes; 0 when it
	// could not be found, and then waits for the same file are not resolved.
	InodeOff uint32
	// CookieBack is how many words before the completion of struct idempotent
	// its cookie, the inode, lies. CookieSeen: read off a real wait, not
	// assumed.
	CookieBack uint32
	CookieSeen bool
	// Hard: no signal ends that wait (6.5 to 6.10).
	Hard bool
}

// cookieBack is where 6.5 to 7.3 have it: cookie, two words of hlist_node,
// then the completion, counted in words from there.
const cookieBack = 3

// selfcheck is struct selfcheck of src/state.h.
type selfcheck struct {
	File, First [32]uint64
	Back        [8]uint64
	Seen        uint32
	Soft, Hard  uint32
	_           uint32
}

// configure finds out about the wait by inode by having one: two threads call
// finit_module on the same empty file, which the kernel refuses (EINVAL) after
// it took the file and before it would log anything. A probed call takes long
// enough for the threads to meet; where they do not within the time, as on one
// CPU, the layout is assumed, and stays harmless if wrong, since a wait is
// only ever matched with an inode that a load in flight is known to have.
func (p *Probe) configure(symbols map[string]string, sig syscall.Signal) error {
	p.config = config{Signal: uint32(sig), CookieBack: cookieBack}
	if symbols["init_module_from_file"] == "" || p.coll.Programs[probeProgOwnFile] == nil {
		if atLeast(6, 5) {
			p.missing = append(p.missing, "waits for the same file (no function init_module_from_file)")
		}
		return p.putConfig()
	}
	p.learned.Idempotent = true
	p.config.Idempotent = 1
	p.config.SelfTGID = uint32(os.Getpid())
	if err := p.putConfig(); err != nil {
		return err
	}
	callErr := meet(func() bool {
		s, err := p.selfcheck()
		return err != nil || (s.Seen != 0 && s.Soft+s.Hard > 0)
	})
	s, err := p.selfcheck()
	if err != nil {
		return err
	}
	p.learn(s)
	if p.learned.InodeOff == 0 {
		why := "f_inode not found in struct file"
		if s.Seen == 0 {
			why = fmt.Sprintf("the check of struct file did not run: finit_module: %v", callErr)
		}
		p.missing = append(p.missing, "waits for the same file ("+why+")")
	}
	p.config.SelfTGID = 0
	p.config.InodeOff = p.learned.InodeOff
	p.config.CookieBack = p.learned.CookieBack
	if p.learned.Hard {
		p.config.OpenBreaks = 1
		if err := p.attachOpen(symbols); err != nil {
			p.missing = append(p.missing, openHook.without+" ("+err.Error()+")")
		}
	}
	return p.putConfig()
}

func (p *Probe) attachOpen(symbols map[string]string) error {
	spec, err := loadProbe()
	if err != nil {
		return err
	}
	for name := range spec.Programs {
		if name != openHook.prog {
			delete(spec.Programs, name)
		}
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: p.replacements(spec)})
	if err != nil {
		return err
	}
	defer c.Close() // the link keeps the program
	l, err := openHook.attach(c.Programs[openHook.prog], openHook.symbols[0], symbols)
	if l == nil && err == nil {
		err = errors.New("no " + openHook.String())
	}
	if err == nil {
		p.links = append(p.links, l)
	}
	return err
}

// replacements are the maps that the probe has, for a program that joins it.
func (p *Probe) replacements(spec *ebpf.CollectionSpec) map[string]*ebpf.Map {
	shared := make(map[string]*ebpf.Map)
	for name, m := range p.coll.Maps {
		if spec.Maps[name] != nil && name[0] != '.' {
			shared[name] = m
		}
	}
	return shared
}

func (p *Probe) learn(s selfcheck) {
	p.learned.CookieBack = cookieBack
	inode := uint64(0)
	if s.Seen != 0 {
		p.learned.InodeOff, inode = findInode(&s)
	}
	p.learned.Hard = s.Hard > 0 && s.Soft == 0
	if inode == 0 || s.Soft+s.Hard == 0 {
		return
	}
	for i, w := range s.Back {
		if w == inode {
			p.learned.CookieBack, p.learned.CookieSeen = uint32(i+1), true
			return
		}
	}
	p.missing = append(p.missing, "waits for the same file (no inode before the completion that is waited for)")
	p.learned.InodeOff = 0
}

// findInode finds f_inode among the words of a struct file: f_mapping points
// at a struct address_space, which begins with its host, the same inode.
func findInode(s *selfcheck) (off uint32, inode uint64) {
	const kernelHalf = 1 << 12 // anything that may be an address at all
	for i, w := range s.File {
		if w < kernelHalf {
			continue
		}
		for j, host := range s.First {
			if host == w && s.File[j] != w && i != j {
				return uint32(i) * wordSize, w
			}
		}
	}
	return 0, 0
}

const wordSize = uint32(unsafe.Sizeof(uintptr(0)))

func (p *Probe) selfcheck() (selfcheck, error) {
	var s selfcheck
	b := make([]byte, binary.Size(s))
	if err := p.maps.Selfcheck.Lookup(uint32(0), &b); err != nil {
		return s, fmt.Errorf("read the self-check: %w", err)
	}
	return s, binary.Read(bytes.NewReader(b), binary.LittleEndian, &s)
}

func (p *Probe) putConfig() error {
	c := p.config
	b := make([]byte, 0, 24)
	for _, v := range []uint32{c.SelfTGID, c.Signal, c.Idempotent, c.InodeOff, c.CookieBack, c.OpenBreaks} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	if err := p.maps.Config.Put(uint32(0), b); err != nil {
		return fmt.Errorf("configure the probe: %w", err)
	}
	return nil
}

// meet has threads call finit_module on one empty file until done, or for as
// long as it is sensible to try.
func meet(done func() bool) error {
	fd, err := unix.MemfdCreate("safeload-selfcheck", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var (
		stop atomic.Bool
		wg   sync.WaitGroup
		once sync.Once
		last error
	)
	for range 2 {
		wg.Go(func() {
			runtime.LockOSThread()
			for !stop.Load() {
				if err := unix.FinitModule(fd, "", 0); err != nil {
					once.Do(func() { last = err })
				}
			}
		})
	}
	for until := time.Now().Add(300 * time.Millisecond); time.Now().Before(until) && !done(); {
		time.Sleep(2 * time.Millisecond)
	}
	stop.Store(true)
	wg.Wait()
	return last
}

// atLeast compares the running kernel's version.
func atLeast(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var a, b int
	if n, _ := fmt.Fscanf(strings.NewReader(unix.ByteSliceToString(u.Release[:])), "%d.%d", &a, &b); n != 2 {
		return false
	}
	return a > major || a == major && b >= minor
}
