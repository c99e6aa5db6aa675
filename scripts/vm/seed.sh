# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A kernel whose wait for the same file cannot be left, as 6.5 to 6.10 had it before 2124d84db293: Debian's
# linux-source with that one wait made uninterruptible, small, for QEMU's 32-bit ARM machine. Kept in the cache.

seed_series=6.12

# What a guest of the rig and the probe need; the rest is left out, so that it builds in minutes.
seed_config() {
	printf 'CONFIG_%s=y\n' \
		MMU ARCH_MULTIPLATFORM ARCH_MULTI_V7 ARCH_VIRT VFP VFPv3 NEON KERNEL_MODE_NEON AEABI ARM_PSCI ARM_GIC ARM_AMBA ARM_ARCH_TIMER \
		TTY SERIAL_AMBA_PL011 SERIAL_AMBA_PL011_CONSOLE PRINTK BLK_DEV_INITRD RD_GZIP BINFMT_ELF BINFMT_SCRIPT \
		PROC_FS SYSFS TMPFS SHMEM DEVTMPFS MEMFD_CREATE CGROUPS INET NET UNIX MULTIUSER FUTEX EPOLL SIGNALFD TIMERFD EVENTFD POSIX_TIMERS \
		ADVISE_SYSCALLS FILE_LOCKING FHANDLE HIGH_RES_TIMERS INOTIFY_USER BUG KALLSYMS KALLSYMS_ALL EXPERT SYSCTL PROC_SYSCTL \
		MODULES MODULE_UNLOAD MODULE_FORCE_LOAD BPF_SYSCALL PERF_EVENTS FTRACE FTRACE_SYSCALLS KPROBES KPROBE_EVENTS BPF_EVENTS DEBUG_FS \
		CRYPTO CRYPTO_MANAGER STACKTRACE UNWINDER_ARM SECURITY COMPAT_32BIT_TIME PREEMPT_VOLUNTARY
	printf 'CONFIG_%s=m\n' CRYPTO_TEST CRYPTO_USER CRYPTO_USER_API_SKCIPHER DUMMY
	printf '%s\n' 'CONFIG_LOCALVERSION="-seed"' '# CONFIG_LOCALVERSION_AUTO is not set' '# CONFIG_MODULE_SIG is not set' '# CONFIG_THUMB2_KERNEL is not set' 'CONFIG_HZ_100=y' 'CONFIG_NR_CPUS=2'
}

# seed_get: sets own_image, own_modules and own_headers to the seed kernel, built if it is not there.
seed_get() {
	local dir
	dir=$cache/seed/arm-$seed_series-$(sha256sum <"$vm_dir/seed.sh" | cut -c1-12)
	locked seed seed_build "$dir" || return 1
	own_image=$dir/zImage own_modules=$dir/modules own_headers=$dir/src arch=arm
}

seed_build() {
	local dir=$1 log=$cache/log/seed.log t
	[ ! -e "$dir/.complete" ] || return 0
	for t in flex bison bc arm-linux-gnueabihf-gcc; do command -v "$t" >/dev/null || die "--seed-kernel: $t is needed to build a kernel"; done
	rm -rf "$dir"; mkdir -p "$dir/deb" "$dir/src"
	deb_unpack "$dir/deb" amd64 "linux-source-$seed_series" || return 1
	tar -xf "$dir/deb/usr/src/linux-source-$seed_series.tar.xz" -C "$dir/src" --strip-components=1 || die "linux-source-$seed_series: cannot unpack"
	seed_patch "$dir/src/kernel/module/main.c" || return 1
	say "building the seed kernel, once (log: $log)"
	(
		cd "$dir/src" || exit 1
		export ARCH=arm CROSS_COMPILE=arm-linux-gnueabihf-
		seed_config >seed.config
		make tinyconfig && scripts/kconfig/merge_config.sh -m .config seed.config && make olddefconfig || exit 1
		# A setting that the kernel did not take makes a guest that hangs for another reason.
		for t in MODULES ARM_UNWIND SECURITY COMPAT_32BIT_TIME KPROBE_EVENTS BPF_EVENTS FTRACE_SYSCALLS SERIAL_AMBA_PL011_CONSOLE DEVTMPFS BLK_DEV_INITRD CRYPTO_TEST; do
			grep -q "^CONFIG_$t=" .config || { echo "CONFIG_$t was not taken"; exit 1; }
		done
		make -j"$(nproc)" zImage modules && make modules_install INSTALL_MOD_PATH="$dir/modules" INSTALL_MOD_STRIP=1
	) >"$log" 2>&1 || { tail -20 "$log" >&2; die "the seed kernel does not build (log: $log)"; }
	cp "$dir/src/arch/arm/boot/zImage" "$dir/zImage" || return 1
	: >"$dir/.complete"
}

# seed_patch FILE: idempotent_wait_for_completion waits with wait_for_completion, and never returns early. And
# init_module_from_file is inlined, as a compiler may: nothing can be hooked there.
seed_patch() {
	local old='if (wait_for_completion_interruptible(&u->complete)) {' function='static int init_module_from_file('
	[ "$(grep -cF "$old" "$1")" = 1 ] || die "$1: the wait for the same file is not written as it was in $seed_series"
	[ "$(grep -cF "$function" "$1")" = 1 ] || die "$1: init_module_from_file is not written as it was in $seed_series"
	awk -v old="$old" -v fn="$function" '
		index($0, old) { print "\twait_for_completion(&u->complete);"; print "\tif (0) {"; next }
		index($0, fn) { sub(/^static/, "static __always_inline") }
		{ print }' "$1" >"$1.new" && mv "$1.new" "$1"
}
