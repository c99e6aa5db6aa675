# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# The part of pkg-test.sh --kmod that boots: the whole system from a disk, with systemd and udev, without kmod. Its
# initramfs was made without it; udev has libkmod in it, the units ask for kmod's programs.
. scripts/pkg-guest.sh

echo dummy >"$R/etc/modules-load.d/pkg-test.conf"
on_disk <<'GUEST'
say "systemd $(systemctl is-system-running --wait) failed: $(systemctl --failed --plain --no-legend | tr '\n' ';')"
say "modprobe $(/sbin/modprobe -V | tr '\n' ' ')"
for unit in kmod-static-nodes.service systemd-modules-load.service systemd-udevd.service systemd-udev-trigger.service; do
	say "$unit $(systemctl show -p Result --value $unit) $(systemctl show -p ExecMainStatus --value $unit)"
done
[ -c /dev/fuse ] && say "static node fuse"
grep -q '^dummy ' /proc/modules && say "modules-load.d loaded dummy"
grep -q '^virtio_net ' /proc/modules && say "udev loaded virtio_net"
systemctl start modprobe@tun.service && grep -q '^tun ' /proc/modules && say "modprobe@.service loaded tun"
# The kernel's own request.
mount -t tmpfs none /mnt && truncate -s 8M /mnt/img && mke2fs -q -t ext4 /mnt/img && mount -t squashfs -o loop /mnt/img /srv 2>/dev/null
grep -q '^loop ' /proc/modules && say "the kernel's request loaded loop"
depmod -a && say "depmod $?"
# What udev's coldplug has loaded is what safeload's asks for, and it adds nothing.
cut -d ' ' -f 1 /proc/modules | sort >/run/before
safeload coldplug >/run/coldplug 2>&1; say "coldplug $?"
cut -d ' ' -f 1 /proc/modules | sort >/run/after
say "coldplug added: $(comm -13 /run/before /run/after | tr '\n' ' ')"
# Each device's module, by its alias; what has none needs none.
cat $(find /sys/devices -name modalias) | sort -u | while read -r alias; do modprobe -q -R "$alias"; done | tr - _ | sort -u >/run/wanted
# Some find no device: to udev's as to this coldplug that is no failure.
declined() { for m in $(comm -23 /run/wanted /run/after); do modprobe "$m" 2>&1 | grep -q ': No such device$' || echo "$m"; done; }
say "coldplug wants $(wc -l </run/wanted), not there: $(declined | tr '\n' ' ')"
say "lsmod $(lsmod | wc -l) of $(wc -l </proc/modules)"
say "modprobe -r $(modprobe -r dummy && ! grep -q '^dummy ' /proc/modules && echo removed)"
say "dpkg $(dpkg-query -W -f '${db:Status-Status}' kmod 2>/dev/null) $(ls /bin/kmod -l | sed 's/.*-> //')"
GUEST
boot_begin=$SECONDS
t "boot the whole system without kmod" boot_disk without 1500 "After=basic.target" "Type=simple" \
	-netdev user,id=n -device virtio-net-pci,netdev=n
say "boot without kmod: $((SECONDS - boot_begin)) s"
t "  there is no kmod" said without 'PKGTEST dpkg (not-installed)? ?\.\./sbin/safeload'
t "  systemd runs, nothing has failed" said without 'PKGTEST systemd running failed: *$'
for unit in kmod-static-nodes systemd-modules-load systemd-udevd systemd-udev-trigger; do
	t "  $unit.service" said without "PKGTEST $unit.service success 0"
done
t "  the static nodes are there" said without 'PKGTEST static node fuse'
t "  modules-load.d" said without 'PKGTEST modules-load.d loaded dummy'
t "  udev loads what the devices ask for" said without 'PKGTEST udev loaded virtio_net'
t "  modprobe@.service" said without 'PKGTEST modprobe@.service loaded tun'
t "  a request of the kernel's" said without "PKGTEST the kernel's request loaded loop"
t "  depmod" said without 'PKGTEST depmod 0'
t "  coldplug" said without 'PKGTEST coldplug 0'
t "    loads nothing that udev did not" said without 'PKGTEST coldplug added: *$'
t "    and asks for what udev asked for" said without 'PKGTEST coldplug wants [1-9][0-9]*, not there: *$'
same_count() { local l; l=$(grep -ao 'PKGTEST lsmod [0-9]* of [0-9]*' "$work/without.log"); read -r _ _ a _ b <<<"$l"; [ "$a" = $((b + 1)) ] || { echo "$l"; return 1; }; }
t "  lsmod" same_count
t "  modprobe -r" said without 'PKGTEST modprobe -r removed'
[ -z "${PKG_TEST_KEEP-}" ] || cp "$work"/*.log "$PKG_TEST_KEEP/"
rm -f "$R/etc/systemd/system/pkg-test.service" "$R/etc/systemd/system/multi-user.target.wants/pkg-test.service" "$R/usr/local/sbin/pkg-test" "$R/etc/modules-load.d/pkg-test.conf"
