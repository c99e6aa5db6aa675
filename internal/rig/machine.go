// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"os"
	"strconv"
)

// A Machine is a computer as QEMU has it.
type Machine struct {
	Name    string
	Arch    string // Go's
	QEMU    string
	Args    []string
	Console string
	Memory  int // MB
	CPUs    int
	Icount  string // how many ns an instruction takes, as a power of 2, if the guest's time counts these
	Board   bool   // a board's machine: it boots with the device tree DTB of the kernel's package
	DTB     string // file name
	Halts   bool   // cannot power itself off: the guest ends when its console says so
	Spare   string // words for the kernel that spare an emulated processor work which shows nothing here
}

// What keeps one program from guessing what another does is dear where each instruction is emulated: page tables of the
// kernel's own, which make QEMU forget its translations at each system call, loops on each entry, calls that return. On
// arm64 KASLR wants such page tables even with mitigations=off. A PC's kernel panics early ("IO-APIC + timer doesn't work!") if
// it sees no ticks while the host has no time for the guest; under KVM it does not look (no_timer_check), either. Debian's
// kernels also clear all memory that they hand out, and look at each copy to and from a user: on arm a fourteenth of all
// instructions of a case.
//
// When a module's memory is freed, 32-bit ARM forgets its translations page by page (flush_tlb_kernel_range), from the
// module's area below the direct map to the end of what vmalloc has given: 200,000 pages of a guest with 768 MB, for each of
// which QEMU stops all processors. A larger area for vmalloc makes the direct map smaller, and so the way a quarter as long; the
// rest is high memory. An initrd, which QEMU puts at 128 MB, must still fit into the direct map.
const (
	spareAll   = "init_on_alloc=0 hardened_usercopy=off"
	spareARM   = spareAll + " vmalloc=820M"
	spareBoard = spareAll + " vmalloc=700M" // what is booted there can have an initrd of 100 MB
	spareARM64 = spareAll + " mitigations=off kpti=0"
	spareAMD64 = spareAll + " mitigations=off no_timer_check"
)

// cpuAMD64 is a processor that spares an emulated one what shows nothing here. QEMU does a fast string instruction byte by
// byte, and the kernel, the C library and Go's runtime use these where the processor says that they are fast; a fifth level
// of page tables, and what allows and forbids each access to a user's memory, are dear in the same way. It takes two thirds
// of the time of max.
const cpuAMD64 = "max,-erms,-fsrm,-la57,-smap,-pku"

// cpuARM is what most boards have, and no Cortex-A15: for that one the kernel goes through a loop at each entry, and empties a cache at
// each change of address space, so that no program guesses what another does. A twentieth of a guest's time.
const cpuARM = "cortex-a7"

// machines are those that a kernel can be run on; the first of an architecture is what it is run on unless said
// otherwise.
var machines = []Machine{
	{Name: "virt", Arch: "arm", QEMU: "qemu-system-arm", Args: []string{"-M", "virt,highmem=off", "-cpu", cpuARM},
		Console: "ttyAMA0", Memory: 768, CPUs: 1, Icount: "1", Spare: spareARM},
	{Name: "virt64", Arch: "arm64", QEMU: "qemu-system-aarch64", Args: []string{"-M", "virt", "-cpu", "cortex-a57"},
		Console: "ttyAMA0", Memory: 768, CPUs: 1, Icount: "1", Spare: spareARM64},
	{Name: "q35", Arch: "amd64", QEMU: "qemu-system-x86_64", Args: []string{"-M", "q35", "-cpu", cpuAMD64},
		Console: "ttyS0", Memory: 768, CPUs: 1, Icount: "1", Spare: spareAMD64},
	{Name: "orangepi-pc", Arch: "arm", QEMU: "qemu-system-arm", Args: []string{"-M", "orangepi-pc"},
		Console: "ttyS0,115200", Memory: 1024, CPUs: 4, Board: true, Spare: spareBoard, DTB: "sun8i-h3-orangepi-pc.dtb"},
	{Name: "raspi2b", Arch: "arm", QEMU: "qemu-system-arm", Args: []string{"-M", "raspi2b"},
		Console: "ttyAMA0", Memory: 1024, CPUs: 4, Board: true, Spare: spareBoard, DTB: "bcm2836-rpi-2-b.dtb", Halts: true},
	{Name: "vexpress-a9", Arch: "arm", QEMU: "qemu-system-arm", Args: []string{"-M", "vexpress-a9"},
		Console: "ttyAMA0", Memory: 1024, CPUs: 1, Board: true, DTB: "vexpress-v2p-ca9.dtb"},
}

// machineFor is the machine of that name, or the usual one of the architecture if name is empty.
func machineFor(name, arch string) (Machine, error) {
	for _, m := range machines {
		if (name == "" || m.Name == name) && m.Arch == arch {
			return m, nil
		}
	}
	return Machine{}, fmt.Errorf("no machine %s for %s; see --list", name, arch)
}

// ArchOf is the architecture of a machine, or empty if there is none of that name.
func ArchOf(machine string) string {
	for _, m := range machines {
		if m.Name == machine {
			return m.Arch
		}
	}
	return ""
}

// A size is what one guest gets of its machine.
type size struct {
	memory, cpus int
	icount       string // 2^N ns for each instruction, or empty for the real clock
}

// command is QEMU's, but for what is booted.
func (m Machine) command(s size) []string {
	// Several TCG threads were seen to stall arm64 and amd64 guests, not always (scripts/vm/README.md); counted instructions have
	// one by nature.
	thread := "single"
	if m.Arch == "arm" && s.cpus > 1 && s.icount == "" {
		thread = "multi"
	}
	if t, ok := os.LookupEnv("VM_THREAD"); ok && s.icount == "" {
		thread = t
	}
	args := append([]string{m.QEMU}, m.Args...)
	args = append(args, "-accel", "tcg,thread="+thread, "-m", strconv.Itoa(s.memory), "-smp", strconv.Itoa(s.cpus),
		"-no-reboot", "-nodefaults", "-display", "none")
	if s.icount != "" {
		args = append(args, "-icount", "shift="+s.icount+",sleep=off")
	}
	return args
}
