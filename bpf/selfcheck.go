// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
	"safeload/internal/proc"
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
	// Hard: no signal ends that wait (6.5 to 6.10). By the kernel's version where
	// no wait was seen.
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

// configure finds out about the wait by inode by having one: see meet. Where
// that cannot be had the layout is assumed, and stays harmless if wrong, since
// a wait is only ever matched with an inode that a load in flight is known to
// have.
func (p *Probe) configure(symbols map[string]string, o Options) error {
	p.config = config{Signal: uint32(o.Signal), CookieBack: cookieBack}
	if !o.stays {
		p.config.Reads, p.config.Breaks = forever, forever
	}
	if p.coll.Programs[probeProgOwnFile] == nil {
		if waitsByFile() {
			p.missing = append(p.missing, "waits for the same file (no function "+fromFile+" or "+readFile+")")
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
	if s.Seen == 0 {
		// Without CAP_SYS_MODULE finit_module does not come to the file, but
		// every open does.
		if err := p.learnByOpen(symbols); err != nil {
			callErr = errors.Join(callErr, err)
		} else if s, err = p.selfcheck(); err != nil {
			return err
		}
	}
	if why := p.learn(s, hardByVersion()); why != "" {
		if s.Seen == 0 {
			why = fmt.Sprintf("the check of struct file did not run: finit_module: %v", callErr)
		}
		p.missing = append(p.missing, "waits for the same file ("+why+")")
	}
	p.config.SelfTGID = 0
	p.config.InodeOff = p.learned.InodeOff
	p.config.CookieBack = p.learned.CookieBack
	// A probe that stays signals nobody, so its hooks would only slow down each
	// open.
	if p.learned.Hard && !o.stays {
		p.config.OpenBreaks = 1
		links, err := p.attachOpen(symbols, openHooks)
		p.links = append(p.links, links...)
		if err != nil {
			p.missing = append(p.missing, err.Error())
		}
	}
	return p.putConfig()
}

// learnByOpen has the program at the open look at one struct file.
func (p *Probe) learnByOpen(symbols map[string]string) error {
	links, err := p.attachOpen(symbols, openHooks[:1])
	if err != nil {
		return err
	}
	f, err := os.Open("/")
	if err == nil {
		err = f.Close()
	}
	return errors.Join(err, links[0].Close())
}

// attachOpen attaches what can be of some openHooks. Its error says what is not
// seen without the rest.
func (p *Probe) attachOpen(symbols map[string]string, use []hook) ([]link.Link, error) {
	spec, err := loadProbe()
	if err != nil {
		return nil, err
	}
	for name := range spec.Programs {
		if !slices.ContainsFunc(use, func(h hook) bool { return h.prog == name }) {
			delete(spec.Programs, name)
		}
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: p.replacements(spec)})
	if err != nil {
		return nil, fmt.Errorf("%s (%w)", use[0].without, err)
	}
	defer c.Close() // the links keep the programs
	var links []link.Link
	var errs []error
	for _, h := range use {
		l, err := h.attachTo(c.Programs[h.prog], symbols)
		links = append(links, l...)
		if len(l) == 0 {
			errs = append(errs, fmt.Errorf("%s (%s: %w)", h.without, h.String(), err))
		}
	}
	return links, errors.Join(errs...)
}

// replacements are the maps that the probe has, for a program that joins it. The
// library wants the specification to agree with them.
func (p *Probe) replacements(spec *ebpf.CollectionSpec) map[string]*ebpf.Map {
	shared := make(map[string]*ebpf.Map)
	for name, m := range p.shared {
		if spec.Maps[name] != nil && name[0] != '.' {
			spec.Maps[name].MaxEntries = m.MaxEntries()
			shared[name] = m
		}
	}
	return shared
}

// learn returns why waits for the same file will not be seen, if they will not.
// What was seen of a wait counts; hard is for when none was.
func (p *Probe) learn(s selfcheck, hard bool) string {
	p.learned.CookieBack = cookieBack
	inode := uint64(0)
	if s.Seen != 0 {
		p.learned.InodeOff, inode = findInode(&s)
	}
	if p.learned.Hard = hard; s.Soft+s.Hard > 0 {
		p.learned.Hard = s.Soft == 0
	}
	if inode == 0 {
		return "f_inode not found in struct file"
	}
	if s.Soft+s.Hard == 0 {
		return ""
	}
	for i, w := range s.Back {
		if w == inode {
			p.learned.CookieBack, p.learned.CookieSeen = uint32(i+1), true
			return ""
		}
	}
	p.learned.InodeOff = 0
	return "no inode before the completion that is waited for"
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

const forever = ^uint64(0)

func (p *Probe) putConfig() error {
	c := p.config
	le := binary.LittleEndian
	b := make([]byte, layout.ConfigSize)
	le.PutUint32(b[layout.ConfigSelfTGID:], c.SelfTGID)
	le.PutUint32(b[layout.ConfigSignal:], c.Signal)
	le.PutUint32(b[layout.ConfigIdempotent:], c.Idempotent)
	le.PutUint32(b[layout.ConfigInodeOff:], c.InodeOff)
	le.PutUint32(b[layout.ConfigCookieBack:], c.CookieBack)
	le.PutUint32(b[layout.ConfigOpenBreaks:], c.OpenBreaks)
	le.PutUint64(b[layout.ConfigReadsUntil:], c.Reads)
	le.PutUint64(b[layout.ConfigBreaksUntil:], c.Breaks)
	if err := p.maps.Config.Put(uint32(0), b); err != nil {
		return fmt.Errorf("configure the probe: %w", err)
	}
	return nil
}

// checkSize is how large the file is that is read while the other thread comes:
// some milliseconds' work.
const checkSize = 8 << 20

// meet has two threads call finit_module on one file of which nothing can come:
// while the kernel reads it for the first, the second takes its contents away
// and asks for it too. The first then fails with EIO (kernel_read_file in
// fs/kernel_read_file.c), before anything would be logged, and the second waits
// for it. This works on one CPU as well, since the reading gives way to who
// wakes up. The second one's delay grows until it is not too early.
func meet(done func() bool) error {
	fd, err := unix.MemfdCreate("safeload-selfcheck", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL { // before 6.3; since then vm.memfd_noexec=2 wants it
		fd, err = unix.MemfdCreate("safeload-selfcheck", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// A thread that comes back from the kernel must not wait for another's to be
	// found there.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.NumCPU())))
	late := 0
	for delay := 100 * time.Microsecond; delay < 30*time.Millisecond && !done(); delay = delay * 3 / 2 {
		switch err = meetOnce(fd, delay); err {
		case unix.EIO, unix.EINVAL:
			continue
		case unix.ENOEXEC:
			// Each costs a line in the kernel's log, of an invalid ELF header.
			if late++; late < maxLate {
				delay = delay * 2 / 3
				continue
			}
		}
		break // refused for another reason, and always will be
	}
	return err
}

const maxLate = 4

// meetOnce returns what the first thread got: EIO if the second came in time,
// EINVAL, for an empty file, if it was too early, ENOEXEC, for a file of zeros,
// if it was too late.
func meetOnce(fd int, delay time.Duration) error {
	if err := unix.Ftruncate(fd, checkSize); err != nil {
		return err
	}
	first, second, ready := make(chan error), make(chan bool), make(chan bool)
	go func() {
		runtime.LockOSThread() // and ends with the goroutine
		<-ready
		first <- unix.FinitModule(fd, "", 0)
	}()
	go func() {
		runtime.LockOSThread()
		// A scheduler with slow ticks may let the reading end before it looks who
		// woke up, if that is not more urgent. Without the right to be, the tries
		// that come too late are more.
		_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO,
			Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
		ready <- true
		ts := unix.NsecToTimespec(int64(delay))
		_ = unix.Nanosleep(&ts, nil) // a shorter sleep is as good
		_ = unix.Ftruncate(fd, 0)
		_ = unix.FinitModule(fd, "", 0)
		second <- true
	}()
	err := <-first
	<-second
	return err
}

// waitsByFile reports whether finit_module waits by inode here.
func waitsByFile() bool { return proc.KernelAtLeast(6, 5) }

// hardByVersion reports whether no signal ends that wait, if nobody mended it
// in this kernel (2124d84db293, which stable branches have, too). To take a
// kernel for one of these costs a probe at each open, and breaks a recursion
// one step earlier than it need be.
func hardByVersion() bool { return waitsByFile() && !proc.KernelAtLeast(6, 11) }
