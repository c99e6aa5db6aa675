// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"safeload/internal/kallsyms"
)

// Phase is a time in which the task of a load did one thing: see [PhaseKinds].
type Phase struct {
	TID      uint32
	What     string
	From, To time.Duration // since boot, as an [Event] has it
}

// The things that take a load long (enum what in src/phase.bpf.c).
const (
	PhaseDisk       = "disk"          // its file is read, or firmware in its init
	PhaseDecompress = "decompression" // by the kernel
	PhaseSymbol     = "symbol"        // of a module that is loading
	PhaseLock       = "lock"
	PhaseAsync      = "async"  // async functions, in async_synchronize_full
	PhaseAsleep     = "asleep" // for whatever other reason
)

// PhaseKinds are all of these, in the order of their numbers, which begin with 1.
var PhaseKinds = []string{PhaseDisk, PhaseDecompress, PhaseSymbol, PhaseLock, PhaseAsync, PhaseAsleep}

// phaseHooks are those of each kind: all that has to be there for it to be told.
var phaseHooks = map[string][]hook{
	PhaseDisk: {
		{prog: phaseProgDiskBegin, at: kprobe, symbols: []string{"kernel_read_file"}},
		{prog: phaseProgDiskEnd, at: kretprobe, symbols: []string{"kernel_read_file"}},
	},
	PhaseDecompress: {
		{prog: phaseProgDecompressBegin, at: kprobe, symbols: []string{"module_decompress"}},
		{prog: phaseProgDecompressEnd, at: kretprobe, symbols: []string{"module_decompress"}},
	},
	PhaseSymbol: {{prog: phaseProgSymbolSeen, at: kretprobe, symbols: []string{"resolve_symbol", "ref_module"}}},
	PhaseLock: {
		{prog: phaseProgLockBegin, group: "lock", symbols: []string{"contention_begin"}},
		{prog: phaseProgLockEnd, group: "lock", symbols: []string{"contention_end"}},
	},
	PhaseAsync: {
		{prog: phaseProgAsyncBegin, at: kprobe, symbols: []string{"async_synchronize_full"}},
		{prog: phaseProgAsyncEnd, at: kretprobe, symbols: []string{"async_synchronize_full"}},
	},
	PhaseAsleep: {{prog: phaseProgSwitched, group: "sched", symbols: []string{"sched_switch"},
		offsets: map[string]string{phaseVarOffPrevPid: "prev_pid", phaseVarOffPrevState: "prev_state", phaseVarOffNextPid: "next_pid"}}},
}

// loadHooks tell which tasks load.
var loadHooks = []hook{
	{prog: phaseProgLoadBegin, group: "syscalls", symbols: []string{"sys_enter_finit_module", "sys_enter_init_module"}, all: true},
	{prog: phaseProgLoadEnd, group: "syscalls", symbols: []string{"sys_exit_finit_module", "sys_exit_init_module"}, all: true},
}

// Phases tells of loads, while it is open, what takes them long. It leaves nothing behind: the kernel detaches it with the process,
// however that ends. It needs CAP_BPF and CAP_PERFMON (5.8), and no BTF.
type Phases struct {
	coll   *ebpf.Collection
	links  []link.Link
	events *ringbuf.Reader
	record ringbuf.Record
	kinds  []string
}

// OpenPhases attaches it. A kind that this kernel does not show is left out: see [Phases.Kinds].
func OpenPhases() (*Phases, error) {
	tracefs, err := findTracefs()
	if err != nil {
		return nil, &Unavailable{Missing: []string{"tracefs"}, Err: err}
	}
	symbols, err := phaseSymbols()
	if err != nil {
		return nil, &Unavailable{Missing: []string{"kernel symbols"}, Err: err}
	}
	if err := kprobesSafe(symbols); err != nil {
		return nil, err
	}
	spec, err := loadPhase()
	if err != nil {
		return nil, fmt.Errorf("read the object of the phases: %w", err)
	}
	kinds, err := choosePhases(spec, tracefs, symbols)
	if err != nil {
		return nil, err
	}
	untyped(spec.Maps)
	p := &Phases{}
	if p.coll, err = ebpf.NewCollection(spec); err != nil {
		return nil, refused(err)
	}
	if err := p.attach(kinds, symbols); err != nil {
		p.Close()
		return nil, err
	}
	if p.events, err = ringbuf.NewReader(p.coll.Maps[phaseMapEvents]); err != nil {
		p.Close()
		return nil, fmt.Errorf("open the ring buffer of the phases: %w", err)
	}
	return p, nil
}

func phaseSymbols() (map[string]string, error) {
	want := phaseFunctions()
	functions, err := kallsyms.Of(kallsyms.Path, want...)
	if err != nil {
		return nil, err
	}
	return findSymbols(functions, want), nil
}

// phaseFunctions are all that the hooks of the phases may be at, and what tells whether they are safe.
func phaseFunctions() []string {
	want := []string{unwindTables, thumbDecoder}
	for _, hooks := range phaseHooks {
		for _, h := range hooks {
			if h.at != tracepoint {
				want = append(want, h.symbols...)
			}
		}
	}
	return want
}

// choosePhases drops the programs of kinds that this kernel does not show, and returns the others.
func choosePhases(spec *ebpf.CollectionSpec, tracefs string, symbols map[string]string) (kinds []string, err error) {
	for _, kind := range PhaseKinds {
		there := true
		for _, h := range phaseHooks[kind] {
			ok, err := h.present(spec, tracefs, symbols)
			if err != nil {
				return nil, err
			}
			there = there && ok && (h.at != kretprobe || returnsSafe(symbols))
		}
		if there {
			kinds = append(kinds, kind)
			continue
		}
		for _, h := range phaseHooks[kind] {
			delete(spec.Programs, h.prog)
		}
	}
	return kinds, nil
}

// attach attaches the kinds first: what begins before all of a kind is there must not seem to go on.
func (p *Phases) attach(kinds []string, symbols map[string]string) error {
	for _, kind := range kinds {
		var links []link.Link
		whole := true
		for _, h := range phaseHooks[kind] {
			l, _ := h.attachTo(p.coll.Programs[h.prog], symbols)
			links = append(links, l...)
			whole = whole && len(l) > 0
		}
		if !whole {
			for _, l := range links {
				l.Close()
			}
			continue
		}
		p.kinds, p.links = append(p.kinds, kind), append(p.links, links...)
	}
	for _, h := range loadHooks {
		links, err := h.attachTo(p.coll.Programs[h.prog], symbols)
		p.links = append(p.links, links...)
		if len(links) < len(h.symbols) {
			return &Unavailable{Missing: []string{h.String()}, Err: err}
		}
	}
	return nil
}

// Kinds are those that this kernel shows.
func (p *Phases) Kinds() []string { return slices.Clone(p.kinds) }

// Read waits for the next phase that is over. It returns [os.ErrClosed] after Close.
func (p *Phases) Read() (Phase, error) {
	for {
		if err := p.events.ReadInto(&p.record); err != nil {
			return Phase{}, err
		}
		b := p.record.RawSample
		if len(b) < 24 {
			return Phase{}, errors.New("decode a phase: it is too short")
		}
		le := binary.LittleEndian
		what := int(le.Uint32(b[20:])) - 1
		if what < 0 || what >= len(PhaseKinds) {
			continue
		}
		return Phase{TID: le.Uint32(b[16:]), What: PhaseKinds[what], From: time.Duration(le.Uint64(b)), To: time.Duration(le.Uint64(b[8:]))}, nil
	}
}

// Lost counts the phases that found no room in the ring buffer.
func (p *Phases) Lost() (n uint64) {
	var perCPU []uint64
	if p.coll.Maps[phaseMapLost].Lookup(uint32(0), &perCPU) != nil {
		return 0
	}
	for _, v := range perCPU {
		n += v
	}
	return n
}

// Stop detaches it, and ends a Read that waits. What is left of it Close frees.
func (p *Phases) Stop() {
	for _, l := range p.links {
		l.Close()
	}
	p.links = nil
	if p.events != nil {
		p.events.Close()
	}
}

// Close frees it.
func (p *Phases) Close() {
	p.Stop()
	if p.coll != nil {
		p.coll.Close()
	}
}
