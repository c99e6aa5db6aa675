# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Guests of pkg-test.sh: the system's own kernel and initramfs in QEMU.

# guest NAME LIMIT ARGUMENTS [QEMU-OPTION...]: boots; the console is in $work/NAME.log.
guest() {
	local boot_name=$1 limit=$2 args=$3; shift 3
	# It is one of the guests that this machine runs at once.
	SAFELOAD_CACHE=${SAFELOAD_CACHE:-$repo/.cache} go run ./scripts/rigkit slot \
		timeout --kill-after=5 "$limit" qemu-system-x86_64 -accel tcg,thread=single -cpu max -m 1024 -nographic -nodefaults -no-reboot \
		-serial "file:$work/$boot_name.raw" -kernel "$R/boot/vmlinuz-$kver" -initrd "$R/boot/initrd.img-$kver" \
		-append "console=ttyS0 panic=-1 loglevel=5 $args" "$@" </dev/null >"$work/$boot_name.qemu" 2>&1
	tr -d '\r' <"$work/$boot_name.raw" >"$work/$boot_name.log"
	said "$boot_name" 'PKGTEST end'
}
said() { grep -qaE "$2" "$work/$1.log" || { tail -8 "$work/$1.log"; return 1; }; }
