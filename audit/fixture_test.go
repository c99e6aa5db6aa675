// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compilers make the fixtures for each instruction set. T32 is what a kernel
// with CONFIG_THUMB2_KERNEL is made of.
var compilers = []struct {
	name, cc string
	flags    []string
}{
	{"arm", "arm-linux-gnueabihf-gcc", []string{"-marm", "-march=armv7-a", "-mfloat-abi=soft"}},
	{"thumb", "arm-linux-gnueabihf-gcc", []string{"-mthumb", "-march=armv7-a", "-mfloat-abi=soft"}},
	{"arm64", "aarch64-linux-gnu-gcc", nil},
	{"amd64", "x86_64-linux-gnu-gcc", []string{"-mcmodel=kernel", "-fcf-protection=branch"}},
}

// build compiles those of testdata's modules that fit a pattern into a tree.
func build(t *testing.T, modules, cc string, flags ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles fixtures, which takes seconds: run without -short, or scripts/audit-test.sh")
	}
	if _, err := exec.LookPath(cc); err != nil {
		if os.Getenv("SAFELOAD_AUDIT_COMPILERS") != "" {
			t.Fatalf("SAFELOAD_AUDIT_COMPILERS is set, but there is no %s", cc)
		}
		t.Skipf("no %s: install the cross compiler, scripts/audit-test.sh needs it", cc)
	}
	dir := t.TempDir()
	sources, err := filepath.Glob("testdata/" + modules + ".c")
	if err != nil || len(sources) == 0 {
		t.Fatal("no fixtures", err)
	}
	args := append([]string{"-O2", "-ffreestanding", "-fno-pic", "-fno-pie", "-c"}, flags...)
	for i := range sources {
		abs, err := filepath.Abs(sources[i])
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, abs)
	}
	cmd := exec.Command(cc, args...)
	cmd.Dir = dir
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	for _, s := range sources {
		base := strings.TrimSuffix(filepath.Base(s), ".c")
		if err := os.Rename(filepath.Join(dir, base+".o"), filepath.Join(dir, base+".ko")); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func summaries(r *Result) (out []string) {
	for _, f := range r.Findings {
		var hops []string
		for _, h := range f.Hops {
			hops = append(hops, h.Module+" "+h.Request)
		}
		line := fmt.Sprintf("%s: %s", f.Rank, strings.Join(hops, ", "))
		if w := f.Wait; w != nil {
			line += fmt.Sprintf(", %s: %s of %s", w.Module, w.Kind, w.On)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// The code of every instruction set tells the same.
func TestFixtures(t *testing.T) {
	for _, c := range compilers {
		opts := []string{"-O2"}
		if os.Getenv("SAFELOAD_AUDIT_COMPILERS") != "" {
			opts = append(opts, "-Os", "-O1")
		}
		for _, opt := range opts {
			t.Run(c.name+opt, func(t *testing.T) {
				dir := build(t, "*", c.cc, append(slices.Clone(c.flags), opt)...)
				r, err := Run(context.Background(), Options{Dir: dir})
				if err != nil {
					t.Fatal(err)
				}
				want := []string{
					"certain: ringa fix-ring-b, ringb fix-ring-a",
					"certain: self fix-self",
					"certain: waitfar fix-need-far, needfar: lock of waitfar:far_lock",
					"certain: waithub fix-need-flush, needflush: queue of queue waithub:hub_queue",
					"certain: waithub fix-need-lock, needlock: lock of waithub:hub_lock",
					"certain: waithub fix-need-nothing, neednothing: async of async functions",
					"certain: waithub fix-need-reads, needreads: lock of waithub:hub_reads",
					"certain: waithub fix-need-registry, needregistry: lock of waithub:registry",
					"certain: waithub fix-need-rtnl, needrtnl: lock of rtnl_lock",
					"certain: waithub fix-need-writes, needwrites: lock of waithub:hub_writes",
					"certain: waitlink fix-need-rtnl, needrtnl: lock of rtnl_lock",
					"likely: waitasync fix-need-nothing, neednothing: async of async functions",
					"likely: waitprobe fix-need-device, needdevice: device of usb:v1234p0001d*dc*dsc*dp*ic*isc*ip*in*",
					"parameter: param fix-*",
					"possible: waithub *, needlock: lock of waithub:hub_lock",
				}
				if diff := cmp.Diff(want, summaries(r)); diff != "" {
					t.Errorf("findings (-want +got):\n%s", diff)
				}
				if len(r.Failed) > 0 {
					t.Error(r.Failed)
				}
			})
		}
	}
}
