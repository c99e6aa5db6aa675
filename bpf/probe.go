// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
)

// ErrWoken is what a Read returns after a Wake.
var ErrWoken = ringbuf.ErrFlushed

// Options of a [Probe].
type Options struct {
	// Signal is sent to a waiter in its own context when its wait is proven to
	// be for itself. 0 sends none.
	Signal syscall.Signal
	// Pin is the directory under a bpffs where the ancestry maps are pinned
	// for internal/ancestry, usually [PinDir]. Empty pins nothing.
	Pin string
	// stays: attached for good, by [Load].
	stays bool
}

// Unavailable says that this kernel, or what we may do on it, is not enough
// for the probe.
type Unavailable struct {
	Missing []string
	Err     error // what the kernel answered, if it was asked
}

func (u *Unavailable) Error() string {
	s := "probe not available: " + strings.Join(u.Missing, "; ")
	if u.Err != nil {
		s += ": " + u.Err.Error()
	}
	return s
}

func (u *Unavailable) Unwrap() error { return u.Err }

// Probe is attached from [Open] to [Probe.Close]. Its process must stay: the
// kernel detaches it when the process goes, however it goes.
type Probe struct {
	maps    probeMaps
	coll    *ebpf.Collection
	shared  map[string]*ebpf.Map
	links   []link.Link
	events  *ringbuf.Reader
	record  ringbuf.Record
	missing []string
	learned Learned
	config  config
	pin     string
	whole   bool
	spawns  bool // all that inits start is recorded
	wakes   bool // it is seen when an init wakes
	stays   *reading
	had     uint64  // events lost before us
	replay  []Event // of before us, to be read first
}

// config is struct config of src/state.h.
type config struct {
	SelfTGID   uint32
	Signal     uint32
	Idempotent uint32
	InodeOff   uint32
	CookieBack uint32
	OpenBreaks uint32
	Reads      uint64
	Breaks     uint64
}

// Open loads the programs, attaches them to what the kernel has, and checks
// what they assume of it. The caller must keep the Probe and Close it.
func Open(o Options) (*Probe, error) {
	tracefs, err := findTracefs()
	if err != nil {
		return nil, &Unavailable{Missing: []string{"tracefs"}, Err: err}
	}
	symbols, err := kernelSymbols(allSymbols())
	if err != nil {
		return nil, &Unavailable{Missing: []string{"kernel symbols"}, Err: err}
	}
	if err := kprobesSafe(symbols); err != nil {
		return nil, err
	}
	spec, err := loadProbe()
	if err != nil {
		return nil, fmt.Errorf("read the probe's object: %w", err)
	}
	p := &Probe{}
	use, err := p.choose(spec, tracefs, symbols)
	if err != nil {
		return nil, err
	}
	if !currentTaskSafe() {
		p.missing = append(p.missing, "requests by kernel threads of an init (bpf_get_current_task is not safe on arm64 without the BPF JIT: sysctl net.core.bpf_jit_enable=1)")
		if err := spec.Variables[probeVarUseCurrentTask].Set(uint32(0)); err != nil {
			return nil, err
		}
	}
	if err := sizeMaps(spec.Maps, o.stays); err != nil {
		return nil, err
	}
	untyped(spec.Maps)
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, refused(err)
	}
	// spec holds the instructions of every program, the largest thing that
	// the watcher ever has in memory.
	spec = nil
	if err := p.take(coll); err != nil {
		p.Close()
		return nil, err
	}
	if o.stays {
		err = p.maps.fillTurns()
	}
	if err == nil {
		err = p.attach(use, symbols)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	if err := p.configure(symbols, o); err != nil {
		p.Close()
		return nil, err
	}
	if o.stays {
		return p, nil
	}
	if p.events, err = ringbuf.NewReader(p.maps.Events); err != nil {
		p.Close()
		return nil, fmt.Errorf("open the probe's ring buffer: %w", err)
	}
	if o.Pin != "" {
		if err := p.pinTo(o.Pin); err != nil {
			p.missing = append(p.missing, "ancestry for the guard: "+err.Error())
		}
	}
	return p, nil
}

// sizeMaps makes the maps as large as this machine and the use of the probe need them.
func sizeMaps(maps map[string]*ebpf.MapSpec, stays bool) error {
	if stays {
		maps[probeMapEvents].MaxEntries = stayingRing
	} else {
		// A watch is told of all by events.
		maps[probeMapRing].MaxEntries, maps[probeMapTurns].MaxEntries, maps[probeMapTurnsApart].MaxEntries = 1, 1, 1
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("size the probe's maps: %w", err)
	}
	makeRoom(maps, cpus)
	return nil
}

// untyped has maps described by their sizes alone: the kernel would take BTF for each, and have it for a dump only.
func untyped(maps map[string]*ebpf.MapSpec) {
	for _, m := range maps {
		m.Key, m.Value = nil, nil
	}
}

// take makes the programs and maps of a collection the probe's.
func (p *Probe) take(coll *ebpf.Collection) error {
	p.coll = coll
	p.shared = maps.Clone(coll.Maps) // Assign leaves none in it
	return coll.Assign(&p.maps)
}

func refused(err error) error {
	var ve *ebpf.VerifierError
	switch {
	case errors.As(err, &ve) && !kernelReadable(ve):
		return &Unavailable{Missing: []string{"reading kernel memory in BPF programs (the kernel is locked down for confidentiality)"}, Err: err}
	case errors.As(err, &ve):
		return fmt.Errorf("the kernel's verifier refuses the probe (a bug of ours, please report): %w", err)
	case noSyscall():
		return &Unavailable{Missing: []string{"the bpf system call (CONFIG_BPF_SYSCALL)"}, Err: err}
	case errors.Is(err, os.ErrPermission):
		return &Unavailable{Missing: []string{"the right to load BPF programs (CAP_BPF and CAP_PERFMON, and no lockdown)"}, Err: err}
	}
	return &Unavailable{Missing: []string{"BPF programs on kprobes and tracepoints"}, Err: err}
}

// noSyscall reports whether there is no bpf(2). The library's error does not tell: it creates maps in any order, and of one
// that only its program writes, or that can be mapped, it says that the kernel is too old for such maps. A call without
// attributes gives EINVAL or EPERM where there is one (__sys_bpf in kernel/bpf/syscall.c).
func noSyscall() bool {
	const noCommand = ^uintptr(0)
	_, _, errno := unix.Syscall(unix.SYS_BPF, noCommand, 0, 0)
	return errno == unix.ENOSYS
}

// kernelReadable reports whether it was not for bpf_probe_read_kernel that the
// verifier refused a program: in a lockdown for confidentiality that helper
// does not exist (bpf_tracing_func_proto in kernel/trace/bpf_trace.c), nor the
// bpf_probe_read that the library then tries.
func kernelReadable(ve *ebpf.VerifierError) bool {
	for _, l := range ve.Log {
		if strings.Contains(l, "bpf_probe_read") && (strings.Contains(l, "unknown func") || strings.Contains(l, "cannot use helper")) {
			return false
		}
	}
	return true
}

// choose drops the programs that have no place on this kernel and sets the
// offsets of the others.
func (p *Probe) choose(spec *ebpf.CollectionSpec, tracefs string, symbols map[string]string) ([]hook, error) {
	for _, h := range openHooks {
		delete(spec.Programs, h.prog)
	}
	var use []hook
	var lacking []string
	for _, h := range hooks {
		ok, err := h.present(spec, tracefs, symbols)
		if err != nil {
			return nil, err
		}
		if ok && (h.at != kretprobe || returnsSafe(symbols)) {
			use = append(use, h)
			continue
		}
		delete(spec.Programs, h.prog)
		if ok {
			p.missing = append(p.missing, h.without+" (reading wchan under return probes oopses an ARM kernel with CONFIG_UNWINDER_FRAME_POINTER)")
			continue
		}
		if h.need == required {
			lacking = append(lacking, h.String())
		} else if h.prog != probeProgOwnFile { // judged in configure
			p.missing = append(p.missing, h.without+" (no "+h.String()+")")
		}
	}
	if len(lacking) > 0 {
		return nil, &Unavailable{Missing: lacking}
	}
	return use, nil
}

func (h *hook) present(spec *ebpf.CollectionSpec, tracefs string, symbols map[string]string) (bool, error) {
	if h.at != tracepoint {
		return slices.ContainsFunc(h.symbols, func(s string) bool { return symbols[s] != "" }), nil
	}
	format, err := readFormat(tracefs, h.group, h.symbols[0])
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if errors.Is(err, os.ErrPermission) {
		return false, &Unavailable{Missing: []string{"the right to read tracefs (root, and no lockdown)"}, Err: err}
	}
	if err != nil {
		return false, err
	}
	if ok, err := setVariables(spec, h.offsets, fieldOffsets(format)); !ok {
		return false, err
	}
	return setVariables(spec, h.flags, flagValues(format))
}

// setVariables sets those of the programs to what a format file says of these
// names. ok is whether it says all.
func setVariables(spec *ebpf.CollectionSpec, names map[string]string, values map[string]uint32) (ok bool, err error) {
	for variable, name := range names {
		v, ok := values[name]
		if !ok {
			return false, nil
		}
		if err := spec.Variables[variable].Set(v); err != nil {
			return false, fmt.Errorf("set %s: %w", variable, err)
		}
	}
	return true, nil
}

func (h *hook) String() string {
	switch h.at {
	case kprobe, kretprobe:
		return "function " + strings.Join(h.symbols, " or ")
	}
	return "tracepoint " + h.group + ":" + h.symbols[0]
}

func allSymbols() []string {
	all := []string{unwindTables, thumbDecoder}
	for _, h := range slices.Concat(hooks, openHooks) {
		if h.at != tracepoint {
			all = append(all, h.symbols...)
		}
	}
	return all
}

func (p *Probe) attach(use []hook, symbols map[string]string) error {
	seen := 0
	for _, h := range use {
		links, err := h.attachTo(p.coll.Programs[h.prog], symbols)
		p.links = append(p.links, links...)
		if len(links) > 0 && slices.Contains(spawnHooks, h.prog) {
			seen++
		}
		switch {
		case len(links) > 0:
		case h.need == required:
			return &Unavailable{Missing: []string{h.String()}, Err: err}
		default:
			p.missing = append(p.missing, fmt.Sprintf("%s (%s: %v)", h.without, h.String(), err))
		}
	}
	p.spawns = seen == len(spawnHooks) && currentTaskSafe()
	p.wakes = p.coll.Programs[probeProgWaitOver] != nil
	return nil
}

// attachTo attaches a program to the first place that takes it, or to all. The
// error is why there is none.
func (h *hook) attachTo(prog *ebpf.Program, symbols map[string]string) (links []link.Link, last error) {
	last = errors.New("not in this kernel")
	for _, s := range h.symbols {
		l, err := h.attach(prog, s, symbols)
		if err != nil {
			last = err
			continue
		}
		if l == nil {
			continue
		}
		links = append(links, l)
		if !h.all {
			break
		}
	}
	return links, last
}

func (h *hook) attach(prog *ebpf.Program, symbol string, symbols map[string]string) (link.Link, error) {
	if h.at == tracepoint {
		return link.Tracepoint(h.group, symbol, prog, nil)
	}
	name := symbols[symbol]
	if name == "" {
		return nil, nil
	}
	if h.at == kprobe {
		return link.Kprobe(name, prog, nil)
	}
	return link.Kretprobe(name, prog, nil)
}

// currentTaskSafe reports whether bpf_get_current_task may be called: on arm64
// with the interpreter it oopsed 6.12.
func currentTaskSafe() bool {
	if runtime.GOARCH != "arm64" {
		return true
	}
	b, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable")
	return err == nil && len(bytes.TrimSpace(b)) > 0 && b[0] != '0'
}

// unwindTables is a function of the ARM kernel's unwinder by tables.
const unwindTables = "unwind_table_add"

// returnsSafe reports whether functions that sleep may have return probes. The
// ARM unwinder by frame pointers looks such a function's caller up with fields
// that __get_wchan (arch/arm/kernel/process.c) never set, and whoever reads
// /proc/PID/wchan of a sleeper then oopses: seen on 6.12. The guard reads it.
func returnsSafe(symbols map[string]string) bool {
	return runtime.GOARCH != "arm" || symbols[unwindTables] != ""
}

// Missing says what this probe cannot see on this kernel, one phrase each.
func (p *Probe) Missing() []string { return p.missing }

// Learned says what the start-up check found out about the kernel.
func (p *Probe) Learned() Learned { return p.learned }

// Read waits for the next event. It returns [os.ErrDeadlineExceeded] after the
// time given to [Probe.SetDeadline], [os.ErrClosed] after Close.
func (p *Probe) Read() (Event, error) {
	if len(p.replay) > 0 {
		e := p.replay[0]
		p.replay = p.replay[1:]
		return e, nil
	}
	if err := p.events.ReadInto(&p.record); err != nil {
		return Event{}, err
	}
	now := Now()
	e, err := decodeEvent(p.record.RawSample)
	e.Read = now
	return e, err
}

// SetDeadline bounds the following calls of [Probe.Read]; the zero time does
// not bound them.
func (p *Probe) SetDeadline(t time.Time) { p.events.SetDeadline(t) }

// Lost counts the events that found no room in the ring buffer since the probe
// was opened.
func (p *Probe) Lost() (uint64, error) {
	var perCPU []uint64
	if err := p.maps.Lost.Lookup(uint32(0), &perCPU); err != nil {
		return 0, fmt.Errorf("read the count of lost events: %w", err)
	}
	var n uint64
	for _, v := range perCPU {
		n += v
	}
	return n - p.had, nil
}

// Waiting reports whether a load is still in its system call.
func (p *Probe) Waiting(load uint64) bool {
	var buf [layout.LoadSize]byte
	return p.maps.Loads.Lookup(load, &buf) == nil
}

// Waits reports whether a load waits for another. It does no more once its own init is about to run.
func (p *Probe) Waits(load uint64) bool {
	var buf [layout.LoadSize]byte
	return p.maps.Loads.Lookup(load, &buf) == nil && buf[layout.LoadFlags]&layout.LoadWaits != 0
}

// Requested reports whether a request is still waited for.
func (p *Probe) Requested(request uint64) bool {
	var buf [layout.RequestSize]byte
	return p.maps.Requests.Lookup(request, &buf) == nil
}

// Asleep reports whether the task of a load, whose init runs, is in a wait for
// a completion that is not its own request's.
func (p *Probe) Asleep(load uint64) bool {
	var buf [layout.LoadSize]byte
	if !p.wakes {
		return false // nobody says when it wakes
	}
	return p.maps.Loads.Lookup(load, &buf) == nil && buf[layout.LoadFlags]&layout.LoadBlocked != 0
}

// Contends returns the request in which the holder of the lock waits that a load
// is waiting for now, 0 if that is in none. ok is whether it waits for one.
func (p *Probe) Contends(load uint64) (holder uint64, ok bool) {
	var buf [layout.LoadSize]byte
	if p.maps.Loads.Lookup(load, &buf) != nil {
		return 0, false
	}
	le := binary.LittleEndian
	return le.Uint64(buf[layout.LoadHolder:]), le.Uint64(buf[layout.LoadLock:]) != 0
}

// Wake makes a waiting [Probe.Read] return [ErrWoken] after the events that are there.
func (p *Probe) Wake() { p.events.Flush() }

// Close detaches the probe and removes its pins. One that was there before it,
// by [Load], stays.
func (p *Probe) Close() error {
	var errs []error
	if p.pin != "" {
		errs = append(errs, os.RemoveAll(p.pin))
	}
	if p.stays != nil {
		errs = append(errs, p.until(0, 0))
		p.stays.Close()
	}
	if p.events != nil {
		errs = append(errs, p.events.Close())
	}
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	if p.coll != nil {
		p.coll.Close()
	}
	errs = append(errs, p.maps.Close())
	return errors.Join(errs...)
}

// Now is the time since boot, suspend included, that events carry.
func Now() time.Duration {
	var ts unix.Timespec
	// Cannot fail for a clock that exists since 2.6.39.
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}
