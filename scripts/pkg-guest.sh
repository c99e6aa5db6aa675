# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Guests of pkg-test.sh: the system's own kernel and initramfs in QEMU.

# guest NAME LIMIT ARGUMENTS [QEMU-OPTION...]: boots; the console is in $work/NAME.log.
guest() {
	local boot_name=$1 limit=$2 args=$3; shift 3
	# It is one of the guests that this machine runs at once. The processor is the rig's, and so are the kernel's words that spare it
	# work which shows nothing here: cpuAMD64 and spareAMD64 in internal/rig/machine.go.
	SAFELOAD_CACHE=${SAFELOAD_CACHE:-$repo/.cache} go run ./scripts/rigkit slot \
		timeout --kill-after=5 "$limit" qemu-system-x86_64 -accel tcg,thread=single -cpu max,-erms,-fsrm,-la57,-smap,-pku -m 1024 -nographic -nodefaults -no-reboot \
		-serial "file:$work/$boot_name.raw" -kernel "$R/boot/vmlinuz-$kver" -initrd "$R/boot/initrd.img-$kver" \
		-append "console=ttyS0 panic=-1 loglevel=5 init_on_alloc=0 hardened_usercopy=off mitigations=off no_timer_check $args" "$@" </dev/null >"$work/$boot_name.qemu" 2>&1
	tr -d '\r' <"$work/$boot_name.raw" >"$work/$boot_name.log"
	said "$boot_name" 'PKGTEST end'
}
said() { grep -qaE "$2" "$work/$1.log" || { tail -8 "$work/$1.log"; return 1; }; }

# on_disk: the system can be booted from a disk, where systemd runs the script that is read.
on_disk() {
	printf '%s\n' virtio_pci virtio_blk ext4 >>"$R/etc/initramfs-tools/modules"
	echo '/dev/vda / ext4 rw 0 0' >"$R/etc/fstab"
	{
		# shellcheck disable=SC2016 # the script's own
		printf '%s\n' '#!/bin/bash' 'say() { echo "PKGTEST $*" >/dev/console; }'
		cat
		printf '%s\n' 'say end' sync 'echo o >/proc/sysrq-trigger'
	} >"$R/usr/local/sbin/pkg-test"
	chmod +x "$R/usr/local/sbin/pkg-test"
}
# boot_disk NAME LIMIT WHEN TYPE [QEMU-OPTION...]: boots it; WHEN and TYPE are lines of the unit that runs the script.
boot_disk() {
	local boot_name=$1 limit=$2
	printf '%s\n' '[Unit]' "$3" '[Service]' "$4" ExecStart=/usr/local/sbin/pkg-test '[Install]' WantedBy=multi-user.target \
		>"$R/etc/systemd/system/pkg-test.service"
	shift 4
	in_root systemctl enable pkg-test.service && in_root update-initramfs -u || return 1
	# Without what is mounted in it.
	mkdir "$work/disk" && mount --bind "$R" "$work/disk" &&
		truncate -s 1500M "$work/disk.img" && mke2fs -q -t ext4 -O ^has_journal -d "$work/disk" "$work/disk.img" || return 1
	umount "$work/disk"
	guest "$boot_name" "$limit" "root=/dev/vda rw systemd.default_timeout_start_sec=200s" \
		-drive "file=$work/disk.img,format=raw,if=virtio,cache=unsafe" "$@"
}
