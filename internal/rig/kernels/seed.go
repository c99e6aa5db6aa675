// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"safeload/internal/rig/cache"
	"safeload/internal/rig/debian"
)

// The seed kernel's wait for the same file cannot be left, as 6.5 to 6.10 had it before 2124d84db293: Debian's linux-source
// with that one wait made uninterruptible, small, for QEMU's 32-bit ARM machine.
const seedSeries = "6.12"

// What a guest of the rig and the probe need; the rest is left out, so that it builds in minutes.
const (
	seedBuiltin = `MMU ARCH_MULTIPLATFORM ARCH_MULTI_V7 ARCH_VIRT VFP VFPv3 NEON KERNEL_MODE_NEON AEABI ARM_PSCI ARM_GIC ARM_AMBA ARM_ARCH_TIMER
		TTY SERIAL_AMBA_PL011 SERIAL_AMBA_PL011_CONSOLE PRINTK BLK_DEV_INITRD RD_GZIP BINFMT_ELF BINFMT_SCRIPT
		PROC_FS SYSFS TMPFS SHMEM DEVTMPFS MEMFD_CREATE CGROUPS INET NET UNIX MULTIUSER FUTEX EPOLL SIGNALFD TIMERFD EVENTFD POSIX_TIMERS
		ADVISE_SYSCALLS FILE_LOCKING FHANDLE HIGH_RES_TIMERS INOTIFY_USER BUG KALLSYMS KALLSYMS_ALL EXPERT SYSCTL PROC_SYSCTL
		MODULES MODULE_UNLOAD MODULE_FORCE_LOAD BPF_SYSCALL PERF_EVENTS FTRACE FTRACE_SYSCALLS KPROBES KPROBE_EVENTS BPF_EVENTS DEBUG_FS
		CRYPTO CRYPTO_MANAGER STACKTRACE UNWINDER_ARM SECURITY COMPAT_32BIT_TIME PREEMPT_VOLUNTARY`
	seedModules = `CRYPTO_TEST CRYPTO_USER CRYPTO_USER_API_SKCIPHER DUMMY`
	seedOthers  = `CONFIG_LOCALVERSION="-seed"
# CONFIG_LOCALVERSION_AUTO is not set
# CONFIG_MODULE_SIG is not set
# CONFIG_THUMB2_KERNEL is not set
CONFIG_HZ_100=y
CONFIG_NR_CPUS=2
`
	// A setting that the kernel did not take makes a guest that hangs for another reason.
	seedMust = `MODULES ARM_UNWIND SECURITY COMPAT_32BIT_TIME KPROBE_EVENTS BPF_EVENTS FTRACE_SYSCALLS SERIAL_AMBA_PL011_CONSOLE DEVTMPFS BLK_DEV_INITRD CRYPTO_TEST`

	seedWait    = "if (wait_for_completion_interruptible(&u->complete)) {"
	seedWaits   = "\twait_for_completion(&u->complete);\n\tif (0) {"
	seedInline  = "static int init_module_from_file("
	seedInlined = "static __always_inline int init_module_from_file("
)

func seedConfig() string {
	var b strings.Builder
	for _, n := range strings.Fields(seedBuiltin) {
		b.WriteString("CONFIG_" + n + "=y\n")
	}
	for _, n := range strings.Fields(seedModules) {
		b.WriteString("CONFIG_" + n + "=m\n")
	}
	return b.String() + seedOthers
}

// seedPatch: idempotent_wait_for_completion waits with wait_for_completion, and never returns early. And
// init_module_from_file is inlined, as a compiler may: nothing can be hooked there.
func seedPatch(source []byte) ([]byte, error) {
	for _, old := range []string{seedWait, seedInline} {
		if bytes.Count(source, []byte(old)) != 1 {
			return nil, fmt.Errorf("%q is not written as it was in %s", old, seedSeries)
		}
	}
	at := bytes.Index(source, []byte(seedWait))
	line := bytes.LastIndexByte(source[:at], '\n') + 1
	patched := append(bytes.Clone(source[:line]), seedWaits...)
	patched = append(patched, source[at+len(seedWait):]...)
	return bytes.Replace(patched, []byte(seedInline), []byte(seedInlined), 1), nil
}

// Seed gives the seed kernel, built if it is not there.
func (s *Store) Seed(ctx context.Context) (image, modules, tree string, err error) {
	sum := sha256.Sum256([]byte(seedConfig() + seedMust + seedWaits + seedInlined))
	dir := s.Cache.Path("seed", "arm-"+seedSeries+"-"+hex.EncodeToString(sum[:])[:12])
	err = s.Cache.Locked(ctx, "seed", func() error {
		return cache.Fill(dir, func(string) error { return s.buildSeed(ctx, dir) })
	})
	return filepath.Join(dir, "zImage"), filepath.Join(dir, "modules"), filepath.Join(dir, "src"), err
}

func (s *Store) buildSeed(ctx context.Context, dir string) error {
	tools := ToolchainFor("arm")
	for _, t := range []string{"flex", "bison", "bc", tools.Prefix + "gcc"} {
		if _, err := exec.LookPath(t); err != nil {
			return fmt.Errorf("--seed-kernel: %s is needed to build a kernel", t)
		}
	}
	host, err := debian.HostArch(ctx)
	if err != nil {
		return err
	}
	src, name := filepath.Join(dir, "src"), "linux-source-"+seedSeries
	if err := s.Archive.Unpack(ctx, filepath.Join(dir, "deb"), debian.Source{Arch: host}, name); err != nil {
		return err
	}
	if err := os.Mkdir(src, 0o755); err != nil {
		return err
	}
	if err := run(ctx, "", io.Discard, "tar", "-xf", filepath.Join(dir, "deb/usr/src", name+".tar.xz"), "-C", src, "--strip-components=1"); err != nil {
		return err
	}
	waits := filepath.Join(src, "kernel/module/main.c")
	text, err := os.ReadFile(waits)
	if err != nil {
		return err
	}
	if text, err = seedPatch(text); err != nil {
		return fmt.Errorf("%s: %w", waits, err)
	}
	if err := os.WriteFile(waits, text, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(src, "seed.config"), []byte(seedConfig()), 0o644); err != nil {
		return err
	}
	log := s.Cache.Path("log/seed.log")
	s.Say("building the seed kernel, once (log: %s)", log)
	out, err := os.Create(log)
	if err != nil {
		return err
	}
	err = compileSeed(ctx, dir, src, tools, out)
	_ = out.Close()
	if err != nil {
		said, _ := os.ReadFile(log)
		return fmt.Errorf("the seed kernel does not build (log: %s): %w\n%s", log, err, lastLines(string(said), 20))
	}
	return CopyFile(filepath.Join(src, "arch/arm/boot/zImage"), filepath.Join(dir, "zImage"))
}

func compileSeed(ctx context.Context, dir, src string, tools Toolchain, out io.Writer) error {
	cross := []string{"ARCH=" + tools.Kbuild, "CROSS_COMPILE=" + tools.Prefix}
	mk := func(args ...string) error { return run(ctx, src, out, "make", append(cross, args...)...) }
	if err := mk("tinyconfig"); err != nil {
		return err
	}
	if err := run(ctx, src, out, "env", append(cross, "scripts/kconfig/merge_config.sh", "-m", ".config", "seed.config")...); err != nil {
		return err
	}
	if err := mk("olddefconfig"); err != nil {
		return err
	}
	config, err := os.ReadFile(filepath.Join(src, ".config"))
	if err != nil {
		return err
	}
	for _, n := range strings.Fields(seedMust) {
		if !bytes.Contains(config, []byte("\nCONFIG_"+n+"=")) {
			return fmt.Errorf("CONFIG_%s was not taken", n)
		}
	}
	if err := mk(fmt.Sprintf("-j%d", runtime.NumCPU()), "zImage", "modules"); err != nil {
		return err
	}
	return mk("modules_install", "INSTALL_MOD_PATH="+filepath.Join(dir, "modules"), "INSTALL_MOD_STRIP=1")
}
