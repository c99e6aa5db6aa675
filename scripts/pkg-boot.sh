# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# The part of pkg-test.sh that boots: the system's own kernel with an initramfs
# that its own initramfs-tools made, once with kmod in it and once with
# safeload. A script in it starts the recursion of tcrypt: see kernel and
# outcome in the lines "PKGTEST ..." of the console.

cat >"$R/etc/initramfs-tools/hooks/zz-pkg-test" <<'HOOK'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules tcrypt dummy
HOOK
cat >"$R/etc/initramfs-tools/scripts/init-premount/zz-pkg-test" <<'GUEST'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
say() { echo "PKGTEST $*" >/dev/console; }
say "version $(/sbin/modprobe -V 2>&1 | head -n 1)"
say "helper $(cat /proc/sys/kernel/modprobe)"
say "modules $(wc -l </proc/modules)"
/sbin/modprobe dummy && say "plain load ok"
mkdir -p /etc/modprobe.d
echo 'alias crypto-recurse tcrypt' >/etc/modprobe.d/zz-pkg-test.conf
/sbin/modprobe tcrypt alg=recurse </dev/null >/dev/null 2>&1 &
n=0
while kill -0 $! 2>/dev/null && [ $n -lt 30 ]; do sleep 1; n=$((n + 1)); done
if kill -0 $! 2>/dev/null; then say "recursion hangs after $n s"; else say "recursion returned"; fi
say "$(dmesg | grep 'safeload: refused' | head -n 1)"
say end
sync
echo o >/proc/sysrq-trigger
sleep 20
GUEST
chmod +x "$R/etc/initramfs-tools/hooks/zz-pkg-test" "$R/etc/initramfs-tools/scripts/init-premount/zz-pkg-test"

# boot_with NAME: makes the initramfs anew and boots it; the console is in
# $work/NAME.log.
boot_with() {
	in_root update-initramfs -u >"$work/$1.mk" 2>&1 || { cat "$work/$1.mk"; return 1; }
	# The rig's limit of guests on one machine; the slot ends with the shell.
	(
		cache=$repo/.cache
		. scripts/vm/boot.sh
		mkdir -p "$cache/locks"
		slot_take
		timeout --kill-after=5 150 qemu-system-x86_64 -accel tcg,thread=single -cpu max -m 768 -nographic -nodefaults -no-reboot \
			-serial "file:$work/$1.raw" -kernel "$R/boot/vmlinuz-$kver" -initrd "$R/boot/initrd.img-$kver" \
			-append "console=ttyS0 panic=-1 loglevel=5 root=/dev/none" </dev/null >"$work/$1.qemu" 2>&1
	)
	tr -d '\r' <"$work/$1.raw" >"$work/$1.log"
	said "$1" 'PKGTEST end'
}
said() { grep -qaE "$2" "$work/$1.log" || { tail -8 "$work/$1.log"; return 1; }; }

t "boot a Debian initramfs with kmod" boot_with kmod
t "  modprobe there is kmod's" sh -c "grep -aq 'PKGTEST version kmod' $work/kmod.log && ! grep -aq 'version.*safeload' $work/kmod.log"
t "  the recursion hangs it" said kmod 'PKGTEST recursion hangs'

in_root dpkg -i /run/safeload.deb >/dev/null 2>&1 && in_root safeload install >/dev/null
t "boot a Debian initramfs with safeload" boot_with safeload
t "  modprobe there is safeload" said safeload 'PKGTEST version .*safeload'
t "  it loads modules" said safeload 'PKGTEST plain load ok'
same_modules() {
	[ "$(grep -ao 'PKGTEST modules [0-9]*' "$work/kmod.log")" = "$(grep -ao 'PKGTEST modules [0-9]*' "$work/safeload.log")" ] ||
		{ grep -a 'PKGTEST modules' "$work"/*.log; return 1; }
}
t "  as many of them were loaded by then as with kmod" same_modules
t "  the recursion returns" said safeload 'PKGTEST recursion returned'
t "  refused, in the kernel's log" said safeload 'PKGTEST.*safeload: refused tcrypt \(request crypto-recurse\)'
