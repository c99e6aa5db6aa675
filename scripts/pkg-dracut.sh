# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# The part of pkg-test.sh that boots an initramfs that dracut made: whether the probe is in the kernel before udev starts.

. scripts/pkg-guest.sh

mkdir "$R/usr/lib/dracut/modules.d/99zz-pkg-test"
cat >"$R/usr/lib/dracut/modules.d/99zz-pkg-test/module-setup.sh" <<'SETUP'
#!/bin/bash
check() { return 0; }
install() { inst_hook cmdline 99 "$moddir/root.sh" && inst_hook pre-udev 99 "$moddir/say.sh"; }
SETUP
# There is no root, and it does not come to look for one.
echo 'rootok=1' >"$R/usr/lib/dracut/modules.d/99zz-pkg-test/root.sh"
cat >"$R/usr/lib/dracut/modules.d/99zz-pkg-test/say.sh" <<'GUEST'
say() { echo "PKGTEST $*" >/dev/console; }
udev=0
for c in /proc/[0-9]*/comm; do read -r name <"$c" && case $name in *udevd*) udev=1 ;; esac; done
say "udev runs: $udev"
# shellcheck disable=SC2046 # one line
say helper $(/sbin/modprobe -V 2>&1)
say "probe $(/usr/sbin/safeload probe status --json)"
say end
echo o >/proc/sysrq-trigger
sleep 20
GUEST
boot_dracut() {
	in_root dracut --force --no-compress --no-hostonly --no-kernel --kver "$kver" --modules "base safeload zz-pkg-test" "/boot/initrd.img-$kver" >"$work/dracut.mk" 2>&1 ||
		{ tail -5 "$work/dracut.mk"; return 1; }
	# probe load gives up after 15 s, so that udev need not wait. Time counts instructions, so that it has as many everywhere.
	guest dracut 900 root=/dev/none -icount shift=1,sleep=off
}
t "boot an initramfs of dracut's" boot_dracut
t "  its modprobe is safeload" said dracut 'PKGTEST helper .*safeload'
t "  before udev" said dracut 'PKGTEST udev runs: 0'
t "  the probe is in the kernel" said dracut 'PKGTEST probe .*"ready":true.*"whole":true'
rm -r "$R/usr/lib/dracut/modules.d/99zz-pkg-test"
