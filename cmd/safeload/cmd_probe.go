// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"safeload/bpf"
	"safeload/internal/kernelfs"
	"safeload/internal/plain"
)

const (
	probePatience = 2 * time.Second

	// probeLimit bounds probe load beyond its patience, as udev waits for it early
	// in the boot. A probe that is pinned in part then is not used by anybody, and
	// the next load removes it.
	probeLimit = 15 * time.Second
)

func runProbe(args []string, stdout, stderr io.Writer) int {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	fs := flag.NewFlagSet("probe", flag.ContinueOnError)
	asJSON := fs.Bool("json", false, "one JSON object")
	patience := probePatience
	run := map[string]func() (*probeReport, error){
		"load":   func() (*probeReport, error) { return probeLoad(patience) },
		"unload": probeUnload,
		"status": probeStatus,
	}[verb]
	if run == nil || verb == "load" {
		fs.DurationVar(&patience, "patience", patience, "wait this long for what began before the probe to end")
	}
	if run == nil {
		if code, done := parse(fs, args, stdout, stderr); done {
			return code
		}
		return misused("probe", stderr, "load, unload or status, not %q", verb)
	}
	if code, done := parse(fs, args[1:], stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 {
		return misused("probe", stderr, "%s takes no argument, not %q", verb, fs.Arg(0))
	}
	r, err := run()
	if err != nil {
		plain.Fprintf(stderr, "safeload: probe %s: %v\n", verb, err)
		return exitError
	}
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(r)
	} else {
		err = r.print(stdout)
	}
	if err != nil {
		plain.Fprintf(stderr, "safeload: cannot write: %v\n", err)
		return exitError
	}
	if verb == "status" && !r.Ready {
		return exitError
	}
	return exitOK
}

// probeReport is the report of load, unload and status.
type probeReport struct {
	Schema  int      `json:"schema"`
	Type    string   `json:"type"`
	Did     string   `json:"did,omitempty"`
	Ready   bool     `json:"ready"`           // the helper uses it
	Fault   string   `json:"fault,omitempty"` // why it does not, if one is there
	Version string   `json:"version,omitempty"`
	ABI     uint32   `json:"abi,omitempty"`
	SinceMs int64    `json:"since_ms,omitempty"`
	Whole   bool     `json:"whole"`
	Full    bool     `json:"full,omitempty"`  // a map has no room: what is not in it is not known
	Fulls   uint32   `json:"fulls,omitempty"` // how often one had none
	Watched bool     `json:"watched"`
	Links   int      `json:"links,omitempty"`
	Bytes   uint64   `json:"bytes,omitempty"`
	Missing []string `json:"missing,omitempty"`
}

func reportOf(p *bpf.Pinned, did string) *probeReport {
	r := &probeReport{Schema: 1, Type: "probe", Did: did}
	if p == nil {
		return r
	}
	r.Ready, r.Fault, r.Version, r.ABI, r.SinceMs = p.Fault == "", p.Fault, p.Version, p.ABI, p.Age.Milliseconds()
	r.Full, r.Fulls = p.Full, p.Fulls
	r.Whole, r.Watched, r.Links, r.Bytes, r.Missing = p.Whole && r.Ready, p.Read, p.Links, p.Bytes, p.Missing
	return r
}

func probeLoad(patience time.Duration) (*probeReport, error) {
	limit := time.AfterFunc(probeLimit+patience, func() {
		plain.Fprintf(os.Stderr, "safeload: probe load: given up after %v; what is pinned so far is not used, and the next load removes it\n", probeLimit+patience)
		os.Exit(exitError)
	})
	defer limit.Stop()
	kernelfs.MountTracefs()
	kernelfs.MountBPF()
	p, loaded, err := bpf.Load(bpf.PinDir, patience)
	var u *bpf.Unavailable
	if errors.As(err, &u) {
		return nil, fmt.Errorf("%w; safeload watch is what works here", err)
	}
	if err != nil {
		return nil, err
	}
	did := "loaded"
	if !loaded {
		did = "it is there already"
	}
	return reportOf(p, did), nil
}

func probeUnload() (*probeReport, error) {
	had, err := bpf.Unload(bpf.PinDir)
	if err != nil {
		return nil, err
	}
	if !had {
		return reportOf(nil, "nothing to unload"), nil
	}
	return reportOf(nil, "unloaded"), nil
}

func probeStatus() (*probeReport, error) {
	p, err := bpf.Find(bpf.PinDir)
	if err != nil {
		return nil, err
	}
	return reportOf(p, ""), nil
}

// print writes the report for people.
func (r *probeReport) print(w io.Writer) error {
	if r.Did != "" {
		plain.Fprintf(w, "%s\n", r.Did)
	}
	switch {
	case r.Fault != "":
		plain.Fprintf(w, "a probe is in the kernel, but is not used: %s\n", r.Fault)
		return nil
	case !r.Ready:
		if r.Did == "" {
			fmt.Fprintln(w, "no probe is in the kernel")
		}
		return nil
	}
	plain.Fprintf(w, "probe of safeload %s, in the kernel for %v, %d links, %d kB of maps\n",
		r.Version, (time.Duration(r.SinceMs) * time.Millisecond).Round(time.Second), r.Links, (r.Bytes+1023)/1024)
	switch {
	case r.Full:
		fmt.Fprintln(w, "not whole: a map is full, or the kernel did not report a return; what is not in its maps proves nothing until what is being loaded has ended")
	case !r.Whole:
		fmt.Fprintln(w, "not whole: something in flight began before it; what is not in its maps proves nothing yet")
	}
	if r.Fulls > 0 {
		fmt.Fprintf(w, "%d times a map had no room for what began: what was loaded then was judged as without the probe\n", r.Fulls)
	}
	if r.Watched {
		fmt.Fprintln(w, "a watch reads from it")
	}
	for _, m := range r.Missing {
		plain.Fprintf(w, "not seen on this kernel: %s\n", m)
	}
	return nil
}
