// SPDX-License-Identifier: Apache-2.0

package entry_test

import (
	"debug/dwarf"
	"debug/elf"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// buildHelper links the helper with its symbols as scripts/build.sh links it
// without.
func buildHelper(t *testing.T, arch, tags string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "modprobe-"+arch)
	linker := "-E safeload/internal/entry.startHelper"
	if tags != "" {
		linker += " -checklinkname=0"
	}
	cmd := exec.Command("go", "build", "-tags", tags, "-ldflags", linker, "-o", program, "safeload/cmd/safeload-modprobe")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOARM=6", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build for %s: %v\n%s", arch, err, out)
	}
	return program
}

// TestSignals: the runtime's table is what the entries take it for.
func TestSignals(t *testing.T) {
	for arch, size := range map[string]int64{"amd64": 24, "arm": 12, "arm64": 24} {
		f, err := elf.Open(buildHelper(t, arch, "safeload_spare"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		data, err := f.DWARF()
		if err != nil {
			t.Fatal(err)
		}
		table := variable(t, data, "runtime.sigtable")
		array, ok := table.(*dwarf.ArrayType)
		if !ok || array.Count != 65 || array.Type.Size() != size {
			t.Errorf("%s: runtime.sigtable is %v of %d elements, %d bytes each; the entry takes it for 65 of %d",
				arch, table, array.Count, array.Type.Size(), size)
			continue
		}
		signal, ok := array.Type.(*dwarf.StructType)
		if !ok {
			if d, is := array.Type.(*dwarf.TypedefType); is {
				signal, ok = d.Type.(*dwarf.StructType)
			}
		}
		if !ok || len(signal.Field) == 0 || signal.Field[0].Name != "flags" || signal.Field[0].ByteOffset != 0 || signal.Field[0].Type.Size() != 4 {
			t.Errorf("%s: a runtime.sigTabT does not begin with flags of four bytes: %v", arch, array.Type)
		}
	}
}

// variable finds the type of a variable of a program.
func variable(t *testing.T, data *dwarf.Data, name string) dwarf.Type {
	t.Helper()
	for r := data.Reader(); ; {
		e, err := r.Next()
		if err != nil || e == nil {
			t.Fatalf("the program has no %s: %v", name, err)
		}
		if e.Tag != dwarf.TagVariable || e.Val(dwarf.AttrName) != name {
			continue
		}
		typ, err := data.Type(e.Val(dwarf.AttrType).(dwarf.Offset))
		if err != nil {
			t.Fatal(err)
		}
		return typ
	}
}

// TestSpared: what the runtime is spared it has not done, as the program sees
// itself; and a build without the tag shows that it would have.
func TestSpared(t *testing.T) {
	caught := func(tags, linker string) (signals uint64, files string) {
		program := filepath.Join(t.TempDir(), "show")
		build := exec.Command("go", "build", "-tags", tags, "-ldflags", linker+" -E safeload/internal/entry.startHelper", "-o", program, "./testdata/show")
		build.Env = append(build.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		out, err := exec.Command(program, "status").Output()
		if err != nil {
			t.Fatal(err)
		}
		mask := regexp.MustCompile(`(?m)^SigCgt:\s*([0-9a-f]+)$`).FindStringSubmatch(string(out))
		if mask == nil {
			t.Fatalf("no mask of signals: %s", out)
		}
		if signals, err = strconv.ParseUint(mask[1], 16, 64); err != nil {
			t.Fatal(err)
		}
		_, files, _ = strings.Cut(string(out), "next descriptor ")
		return signals, strings.TrimSpace(files)
	}
	var want uint64
	for _, s := range []syscall.Signal{syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV, syscall.SIGPIPE, syscall.SIGCHLD, 33} {
		want |= 1 << (s - 1)
	}
	signals, next := caught("safeload_spare", "-checklinkname=0")
	if signals != want {
		t.Errorf("the runtime has taken the signals %x, want %x", signals, want)
	}
	if next != "3" {
		t.Errorf("the runtime keeps files open: the next descriptor is %s", next)
	}
	if signals, _ = caught("", ""); bits.OnesCount64(signals) < 40 {
		t.Errorf("without the tag the runtime takes the signals %x only", signals)
	}
}
