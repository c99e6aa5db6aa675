# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# The part of pkg-test.sh --kmod-boot about the tools of distributions that call kmod's programs, in the system without
# kmod: DKMS with the real compiler, and dracut-install. It installs packages from the machine's apt sources into that system.

# The network as it is here, with the proxies and authorities that it may want.
cp -L /etc/resolv.conf /etc/hosts "$R/etc/"
cp /etc/apt/apt.conf.d/*proxy* "$R/etc/apt/apt.conf.d/" 2>/dev/null
[ -z "${SSL_CERT_FILE-}" ] || cp -L "$SSL_CERT_FILE" "$R/etc/authorities.crt"
mkdir -p "$R/var/cache/apt/archives/partial" "$R/var/lib/apt/lists/partial"
keep_env=()
for name in http_proxy https_proxy no_proxy; do [ -z "${!name-}" ] || keep_env+=("$name=${!name}"); done
[ -z "${SSL_CERT_FILE-}" ] || keep_env+=(SSL_CERT_FILE=/etc/authorities.crt)
with_network() { in_root env "${keep_env[@]}" "$@"; }
get_tools() {
	with_network apt-get update -q -o APT::Sandbox::User=root &&
		with_network apt-get install -y -q --no-install-recommends -o APT::Sandbox::User=root -o Dpkg::Options::=--force-unsafe-io \
			dkms make gcc libc6-dev "linux-headers-$kver"
}
# The kernel of the kept system may be older than what the sources have: then there are no headers for it.
t "apt-get installs DKMS, a compiler and the kernel's headers" get_tools
t "  and kmod stays away" sh -c "! chroot $R dpkg-query -W -f '\${db:Status-Status}' kmod 2>/dev/null | grep -q '^installed'"

mkdir -p "$R/usr/src/pkgtest-1.0"
cat >"$R/usr/src/pkgtest-1.0/dkms.conf" <<'CONF'
PACKAGE_NAME="pkgtest"
PACKAGE_VERSION="1.0"
BUILT_MODULE_NAME[0]="pkgtest"
DEST_MODULE_LOCATION[0]="/updates/dkms"
AUTOINSTALL="yes"
CONF
echo 'obj-m := pkgtest.o' >"$R/usr/src/pkgtest-1.0/Makefile"
cat >"$R/usr/src/pkgtest-1.0/pkgtest.c" <<'MODULE'
// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <net/failover.h>
static struct net_device *none;
static int __init pkgtest_init(void) { return failover_slave_unregister(none); }
static void __exit pkgtest_exit(void) {}
module_init(pkgtest_init);
module_exit(pkgtest_exit);
MODULE_ALIAS("pkgtest-alias");
MODULE_LICENSE("GPL");
MODULE
dkms_install() { in_root dkms install pkgtest/1.0 -k "$kver" || { tail -n 20 "$R/var/lib/dkms/pkgtest/1.0/build/make.log"; return 1; }; }
t "dkms install builds and installs a module" dkms_install
dkms_loads() {
	local got
	got=$(in_root modprobe -S "$kver" -D pkgtest-alias) || return 1
	grep 'failover.ko' <<<"$got" && tail -n 1 <<<"$got" | grep '/updates/dkms/pkgtest.ko'
}
t "  depmod has it, with what it needs and its alias" dkms_loads
t "  and modinfo" in_root sh -c "modinfo -k $kver -F alias pkgtest | grep -qx pkgtest-alias"
t "  dkms status" in_root sh -c "dkms status pkgtest/1.0 | grep -q installed"
t "dkms autoinstall has nothing to do" in_root dkms autoinstall -k "$kver"
dkms_gone() { in_root dkms remove pkgtest/1.0 --all && ! in_root modprobe -q -S "$kver" -D pkgtest-alias; }
t "dkms remove" dkms_gone

# dracut-install finds modules by libkmod, which is in it, and reads the indexes that depmod made.
dpkg-deb --fsys-tarfile "$cache/dracut-core.deb" | tar -x -C "$R" --keep-directory-symlink
dracut_modules() {
	in_root dracut --force --no-compress --no-hostonly --no-hostonly-cmdline --kver "$kver" --modules "base kernel-modules" --drivers "virtio_net virtio_blk virtio_scsi" /run/dracut.img >"$work/dracut.log" 2>&1 ||
		{ cat "$work/dracut.log"; return 1; }
	rm -rf "$work/dracut" && mkdir "$work/dracut" && (cd "$work/dracut" && cpio -id --quiet <"$R/run/dracut.img") || return 1
}
t "dracut makes an initramfs of modules" dracut_modules
dracut_complete() { # modules.dep of its own names nothing that is not there, and what was asked for is
	local d=$work/dracut/usr/lib/modules/$kver f
	[ -d "$d" ] || d=$work/dracut/lib/modules/$kver
	for f in virtio_net virtio_blk virtio_scsi; do find "$d" -name "$f.ko*" | grep -q . || { echo "no $f"; return 1; }; done
	awk -F'[: ]+' '{for (i = 1; i <= NF; i++) if ($i != "") print $i}' "$d/modules.dep" | while read -r f; do [ -e "$d/$f" ] || echo "$f"; done | grep . && return 1
	chroot "$work/dracut" /sbin/modprobe -S "$kver" -D virtio_net 2>&1 | grep 'virtio_net.ko'
}
t "  with all that they need, in order by depmod" dracut_complete
chroot_modprobe() { chroot "$work/dracut" /sbin/modprobe -V | grep safeload; }
t "  and its modprobe is safeload" chroot_modprobe
rm -rf "$work/dracut" "$R/run/dracut.img"
