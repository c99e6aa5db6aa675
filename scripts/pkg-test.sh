#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2031 # pkg-guest.sh has in a subshell what scripts/vm calls cache
# Installs, uses, upgrades and purges the Debian package in a Debian system of
# its own, with a real kernel's modules, and looks whether modprobe works at
# every step and whether anything remains.
#
# usage: pkg-test.sh [--boot | --kmod | --kmod-boot]
# Needs root (or sudo), debootstrap and the machine's own apt sources for the first run;
# the system is kept in SAFELOAD_CACHE (default .cache), in pkg. --boot also boots its initramfs in QEMU, with
# kmod and with safeload. --kmod runs only the part about safeload-kmod, and --kmod-boot boots that system too, whole,
# and tries DKMS and dracut in it.
set -u

cd "$(dirname "$0")/.." || exit 1
repo=$PWD
case ${1-} in
--boot) boot=yes kmod_only='' ;;
--kmod) boot='' kmod_only=yes ;;
--kmod-boot) boot='' kmod_only=boot ;;
'') boot='' kmod_only='' ;;
*) sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then # debootstrap, chroot, mounts
	. scripts/setup.sh
	# What other scripts keep there is not to become root's.
	mkdir -p "${SAFELOAD_CACHE:-$repo/.cache}"/{locks,log} || exit 1
	# sudo takes the environment away. Go's caches of this user stay his.
	kept=("PATH=$PATH:/usr/local/go/bin")
	while read -r name; do kept+=("$name=${!name}"); done < <(compgen -e | grep -E '^(SAFELOAD_|PKG_TEST_|TMPDIR$|GO(FLAGS|PROXY|SUMDB|TOOLCHAIN|MAXPROCS)$|[a-z]+_proxy$)')
	as_root pkg-test.sh env "${kept[@]}" "$repo/scripts/pkg-test.sh" "$@"
	exit
fi
# Mounts of its own: they go with the script, however it ends.
if [ -z "${PKG_TEST_NS-}" ]; then
	PKG_TEST_NS=yes exec unshare --mount --propagation private "$0" "$@"
fi

say() { echo "pkg-test: $*" >&2; }
die() { say "$*"; exit 1; }

passed=0 failed=0
# t TEXT COMMAND...: one test.
t() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "ok      $text"
	else
		failed=$((failed + 1))
		echo "FAILED  $text"
		printf '%s\n' "$out" | tail -15 | sed 's/^/        | /'
	fi
}

# shellcheck source=/dev/null
. /etc/os-release
suite=$VERSION_CODENAME
cache=${SAFELOAD_CACHE:-$repo/.cache}/pkg/$suite
# The system: the machine's own Debian, its cloud kernel (the smallest), and
# what makes and manages an initramfs.
included=kmod,initramfs-tools,busybox-static,systemd-sysv,linux-image-cloud-amd64
get_system() {
	[ -e "$cache/complete" ] && return 0
	command -v debootstrap >/dev/null || apt-get install -y debootstrap >&2 || die "debootstrap is missing"
	local mirror
	# shellcheck disable=SC2016 # apt-get's own variable
	mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Created-By: Packages' | head -1)
	[ -n "$mirror" ] || die "the machine's apt sources have no $suite"
	say "making a Debian $suite system, once; this takes some minutes"
	rm -rf "$cache" && mkdir -p "$cache/root"
	mount -t tmpfs -o mode=755 none "$cache/root" # where dpkg's syncing costs nothing
	mkdir -p "${cache%/*}/debs"
	debootstrap --cache-dir="${cache%/*}/debs" --variant=minbase --include="$included" "$suite" "$cache/root" "$mirror" >"$cache/log" 2>&1 ||
		{ tail -5 "$cache/log" >&2; die "debootstrap failed, see $cache/log"; }
	(cd "$cache" && apt-get download dracut-core >&2 && mv dracut-core_*.deb dracut-core.deb) || die "no dracut-core package"
	cp "${cache%/*}"/debs/kmod_*_amd64.deb "$cache/kmod.deb" || die "no kmod package to install again"
	rm -rf "$cache"/root/var/cache/apt/archives/*.deb "$cache"/root/var/lib/apt/lists/*
	tar -C "$cache/root" --numeric-owner --xattrs -cf "$cache/root.tar" . || die "the system cannot be kept"
	umount "$cache/root"
	: >"$cache/complete"
}
# In a directory of ours: anybody can make files in /run/lock, and hold a lock on what he can open.
mkdir -p "${cache%/*}" || die "no ${cache%/*}"
(umask 077 && : >>"${cache%/*}/lock") || die "no lock in ${cache%/*}"
exec 9>>"${cache%/*}/lock"
flock 9
get_system
flock -u 9

begin=$SECONDS
work=$(mktemp -d)
trap 'umount -R "$work" 2>/dev/null; rmdir "$work"' EXIT
mount -t tmpfs -o mode=755 none "$work"
R=$work/root
mkdir "$R"
tar -C "$R" --numeric-owner --xattrs -xf "$cache/root.tar" || die "unpack $cache/root.tar"
# An initramfs with no driver but those of the test is made in seconds.
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=gzip/; s/^# *COMPRESSLEVEL=.*/COMPRESSLEVEL=1/' "$R/etc/initramfs-tools/initramfs.conf"
mount -t proc proc "$R/proc"
mount -t sysfs sysfs "$R/sys" -o ro
mount -t tmpfs none "$R/run"
mount --bind /dev "$R/dev"
kver=$(basename "$R"/lib/modules/*)
kmod=$(sha256sum <"$R/usr/bin/kmod")

# shellcheck disable=SC2329 # called by t
in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$R" "$@"; }
# What a package may not leave behind. dpkg's database, logs and the
# initramfs, which is made anew each time, are looked at otherwise.
snapshot() {
	(cd "$R" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/log -o -path ./var/cache -o -path ./boot \
		-o -path ./var/lib/initramfs-tools -o -path ./run -o -path ./proc -o -path ./sys -o -path ./dev -o -path ./tmp \) -prune -o \
		\( -type f -printf '%p %m %u %g %s %T@\n' -o -type l -printf '%p -> %l\n' -o -printf '%p %y %m %u %g\n' \) | sort
		cat var/lib/dpkg/diversions; sha256sum usr/sbin/modprobe)
}
unchanged() { snapshot | diff "$work/before" -; }
modprobe_is() { # kmod or safeload
	local v
	v=$(in_root /sbin/modprobe -V) || return 1
	case $1:$v in
	safeload:*safeload*) ;;
	kmod:*safeload*) echo "$v"; return 1 ;;
	kmod:*) ;;
	*) echo "$v"; return 1 ;;
	esac
}
want_deps=$(in_root /sbin/modprobe -S "$kver" -D virtio_net) || die "the system's own modprobe does not work"
modprobe_works() {
	local got
	got=$(in_root /sbin/modprobe -S "$kver" -D virtio_net)
	if [ "$got" != "$want_deps" ]; then
		echo "$got"
		return 1
	fi
	! in_root /sbin/modprobe -q -- no-such-module
}
# For as long as it runs, modprobe is called again and again: there must not be a moment without one. A pause of two
# hundredths of a second leaves what runs beside it the processor.
gap_start() {
	rm -f "$work/gap" "$work/gap-stop"
	( n=0
	while [ ! -e "$work/gap-stop" ]; do
		in_root /sbin/modprobe -S "$kver" -R virtio_net >/dev/null 2>"$work/gap-err" || cat "$work/gap-err" >>"$work/gap"
		n=$((n + 1))
		sleep 0.02
	done
	echo $n >"$work/gap-n" ) &
	gap_pid=$!
}
no_gap() {
	: >"$work/gap-stop"
	wait "$gap_pid"
	if [ "$(cat "$work/gap-n")" -lt 3 ] || [ -s "$work/gap" ]; then
		cat "$work/gap-n"
		head -3 "$work/gap"
		return 1
	fi
}
# before_udev ORDER: whether the lines of an initramfs's scripts/init-top/ORDER have safeload, and udev only after it.
before_udev() {
	[ "$(grep -oE '/init-top/(safeload|udev)\>' "$1" | sed 's|.*/||' | tr '\n' ' ')" = "safeload udev " ] || { cat "$1"; return 1; }
}
# initrd_modprobe_is kmod|safeload
initrd_modprobe_is() {
	rm -rf "$work/initrd" && mkdir "$work/initrd"
	in_root unmkinitramfs "/boot/initrd.img-$kver" /run/initrd || return 1
	local d=$R/run/initrd
	[ -d "$d/main" ] && d=$d/main
	local m
	m=$(readlink "$d/usr/sbin/modprobe")
	case $1 in
	kmod) [ "${m##*/}" = kmod ] ;;
	safeload)
		# And the probe, before udev.
		[ -z "$m" ] && cmp "$d/usr/sbin/modprobe" "$R/usr/sbin/safeload-modprobe" && [ -x "$d/usr/sbin/modprobe" ] &&
			cmp "$d/usr/sbin/safeload" "$R/usr/sbin/safeload" && before_udev "$d/scripts/init-top/ORDER" ;;
	esac
	local rc=$?
	rm -rf "$R/run/initrd"
	return $rc
}

say "building the packages"
export SAFELOAD_DIST=$work/dist
scripts/build.sh --deb >"$work/build.log" 2>&1 || { tail -5 "$work/build.log" >&2; die "build.sh --deb failed"; }
deb=$(echo "$work"/dist/safeload_*_amd64.deb)

arch_of() { # DEB ARCH ELF-MACHINE
	[ "$(dpkg-deb -f "$1" Architecture)" = "$2" ] || return 1
	rm -rf "$work/x" && dpkg-deb -x "$1" "$work/x" || return 1
	local f
	for f in safeload safeload-modprobe; do
		LC_ALL=C readelf -hl "$work/x/usr/sbin/$f" | tee "$work/elf" | grep -q "Machine: *$3" || { cat "$work/elf"; return 1; }
		! grep -q INTERP "$work/elf" || return 1
	done
}
[ -n "$kmod_only" ] || {
t "armhf package: right and static" arch_of "$work"/dist/safeload_*_armhf.deb armhf ARM
t "arm64 package: right and static" arch_of "$work"/dist/safeload_*_arm64.deb arm64 AArch64
t "amd64 package: right and static" arch_of "$work"/dist/safeload_*_amd64.deb amd64 'Advanced Micro'
again() {
	mkdir -p "$work/dist2" && cp "$work"/dist/safeload-*linux-arm "$work/dist2/" && scripts/deb.sh "$work/dist2" "$(scripts/version.sh)" arm &&
		(cd "$work/dist" && sha256sum ./*_armhf.deb) >"$work/sums" && (cd "$work/dist2" && sha256sum -c "$work/sums")
}
t "packages are the same bytes a second time" again
}

if [ -n "$kmod_only" ]; then
	cp "$deb" "$R/run/safeload.deb" && cp "$cache/kmod.deb" "$R/run/kmod.deb"
	in_root update-initramfs -u >/dev/null 2>&1
	snapshot >"$work/before"
	. scripts/pkg-kmod.sh
	say "$((SECONDS - begin)) s"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
fi
in_root update-initramfs -u >/dev/null 2>&1 || die "the system's update-initramfs does not work"
snapshot >"$work/before"
cp "$deb" "$R/run/safeload.deb" && cp "$cache/kmod.deb" "$R/run/kmod.deb"

gap_start
t "dpkg -i" in_root dpkg -i /run/safeload.deb
t "no moment without modprobe" no_gap
t "the package alone changes no modprobe" modprobe_is kmod
t "  and modprobe works" modprobe_works
t "  and sets no sysctl" [ ! -e "$R/etc/sysctl.d/60-safeload.conf" ]
t "  and leaves the initramfs to kmod" initrd_modprobe_is kmod
t "safeload runs" in_root safeload version
t "safeload doctor --json" in_root sh -c 'safeload doctor --json | grep -q "^{\"schema\":1,"'
t "man pages are where man looks" in_root sh -c 'cd /usr/share/man && gzip -t man8/safeload.8.gz man8/safeload-modprobe.8.gz man5/safeload.conf.5.gz'
t "the unit of the watcher is right" in_root systemd-analyze verify --man=no safeload-watch.service
t "the unit of the probe is right" in_root systemd-analyze verify --man=no safeload-probe.service
exposure() { in_root systemd-analyze security --offline=true --threshold=40 --no-pager safeload-watch.service; }
t "  and hardened (exposure at most 4.0)" exposure

t "a helper that does not work is refused" sh -c "! chroot $R safeload install --helper /bin/true"
t "  and nothing is changed" sh -c "[ ! -e $R/etc/sysctl.d/60-safeload.conf ] && [ ! -e $R/var/lib/safeload ]"
t "  and modprobe works" modprobe_works

t "install -n" in_root safeload install -n
t "  changes nothing" [ ! -e "$R/var/lib/safeload" ]
t "install --via sysctl" in_root safeload install
t "  sets kernel.modprobe at boot" grep -qx 'kernel.modprobe = /usr/sbin/safeload-modprobe' "$R/etc/sysctl.d/60-safeload.conf"
t "  modprobe is still kmod's" modprobe_is kmod
t "  and modprobe works" modprobe_works
twice() { in_root safeload install | grep -q 'nothing to change'; }
t "  a second time changes nothing" twice
t "update-initramfs" in_root update-initramfs -u
t "  the initramfs has the helper, and the probe" initrd_modprobe_is safeload
t "uninstall" in_root safeload uninstall
t "  takes the setting away" sh -c "[ ! -e $R/etc/sysctl.d/60-safeload.conf ] && [ ! -e $R/var/lib/safeload ]"
t "  and modprobe works" modprobe_works

gap_start
t "install --via divert" in_root safeload install --via divert
t "  modprobe is safeload" modprobe_is safeload
t "  and works" modprobe_works
t "an upgrade of kmod" in_root dpkg -i /run/kmod.deb
t "  leaves safeload in place" modprobe_is safeload
t "  and modprobe works" modprobe_works
t "  with kmod's beside it" in_root bash -c 'exec -a modprobe /sbin/modprobe.kmod -V'
t "uninstall" in_root safeload uninstall
t "  brings kmod back" modprobe_is kmod
t "  and modprobe works" modprobe_works
t "install --via divert, again" in_root safeload install --via divert
t "no moment without modprobe" no_gap

# An upgrade: the diverted modprobe is a copy and must follow.
upgrade() {
	SAFELOAD_VERSION=9.9.9 SAFELOAD_DIST=$work/dist9 scripts/build.sh --deb amd64 >"$work/build9.log" 2>&1 || return 1
	cp "$work"/dist9/safeload_9.9.9_amd64.deb "$R/run/safeload9.deb" && in_root dpkg -i /run/safeload9.deb
}
t "an upgrade of safeload" upgrade
t "  renews the diverted modprobe" cmp "$R/usr/sbin/modprobe" "$R/usr/sbin/safeload-modprobe"
t "  and modprobe works" modprobe_works

in_root systemctl enable safeload-watch.service >/dev/null 2>&1
mv "$R/usr/sbin/modprobe.kmod" "$R/run/modprobe.kmod"; cp "$R/usr/bin/false" "$R/usr/sbin/modprobe.kmod"
mv "$R/usr/bin/kmod" "$R/run/kmod"
cp "$R/usr/bin/false" "$R/usr/bin/kmod" && printf '#!/bin/sh\nexit 0\n' >"$R/usr/sbin/modprobe.kmod"
t "a removal that would leave no modprobe is refused" sh -c "! chroot $R dpkg -r safeload"
t "  and the watcher stays enabled" in_root systemctl is-enabled safeload-watch.service
t "  and modprobe works" modprobe_works
mv "$R/run/kmod" "$R/usr/bin/kmod"; mv -f "$R/run/modprobe.kmod" "$R/usr/sbin/modprobe.kmod"

gap_start
t "purge while installed" in_root dpkg --purge safeload
t "no moment without modprobe" no_gap
t "  kmod is back" modprobe_is kmod
t "  and modprobe works" modprobe_works
t "  the initramfs has kmod" initrd_modprobe_is kmod
in_root dpkg -i /run/safeload.deb >/dev/null 2>&1 && in_root safeload install >/dev/null
t "purge while installed via sysctl" in_root dpkg --purge safeload
t "  and modprobe works" modprobe_works
t "kmod itself was left alone" [ "$(sha256sum <"$R/usr/bin/kmod")" = "$kmod" ]
t "nothing remains" unchanged
. scripts/pkg-kmod.sh

in_root dpkg -i /run/safeload.deb >/dev/null 2>&1
# dracut and initramfs-tools replace each other: unpacked only, and last.
dpkg-deb --fsys-tarfile "$cache/dracut-core.deb" | tar -x -C "$R" --keep-directory-symlink
dracut_make() {
	in_root dracut --force --no-compress --no-hostonly --no-kernel --kver "$kver" --modules "base safeload" /run/dracut.img
}
dracut_has_helper() {
	rm -rf "$work/dracut" && mkdir "$work/dracut" && (cd "$work/dracut" && cpio -id --quiet <"$R/run/dracut.img") || return 1
	[ ! -L "$work/dracut/usr/sbin/modprobe" ] && cmp "$work/dracut/usr/sbin/modprobe" "$R/usr/sbin/safeload-modprobe"
}
dracut_has_probe() {
	cmp "$work/dracut/usr/sbin/safeload" "$R/usr/sbin/safeload" && find "$work/dracut" -path '*/hooks/pre-udev/05-probe.sh' | grep -q .
}
dracut_leaves_it() { dracut_make 2>&1 | grep -i "module 'safeload' cannot be"; }
t "dracut without an installation leaves the module out" dracut_leaves_it
in_root safeload install >/dev/null
t "dracut with one" dracut_make
t "  its initramfs has the helper" dracut_has_helper
t "  and the probe, before udev" dracut_has_probe
[ -z "$boot" ] || . scripts/pkg-dracut.sh
in_root safeload uninstall >/dev/null

if [ -n "$boot" ]; then
	. scripts/pkg-boot.sh
fi
say "$((SECONDS - begin)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
