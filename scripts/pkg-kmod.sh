# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# The part of pkg-test.sh about safeload-kmod: the system without kmod's package, and the way back. What calls kmod's
# programs there is the real thing: systemd's units, initramfs-tools, the kernel's package.

deps_files() { (cd "$R/lib/modules/$kver" && sha256sum modules.{dep,alias,symbols,softdep,devname} modules.dep.bin) 2>/dev/null; }
in_root depmod "$kver"
kmods_files=$(deps_files)
want_info=$(in_root modinfo -k "$kver" virtio_net)
in_root lsinitramfs "/boot/initrd.img-$kver" | sort >"$work/initrd.kmod"
# exec_of UNIT: what its ExecStart runs, without the dash in front.
exec_of() { sed -n 's/^ExecStart=-\{0,1\}//p' "$R/lib/systemd/system/$1"; }
# static_nodes: runs what kmod-static-nodes.service does, and prints what that wrote.
static_nodes() {
	local cmd; cmd=$(exec_of kmod-static-nodes.service)
	[ -n "$cmd" ] || { echo "no such unit"; return 1; }
	# The unit asks for the running kernel's: a tree by that name.
	[ -d "$R/lib/modules/$(uname -r)" ] || { ln -s "$kver" "$R/lib/modules/$(uname -r)" && trap 'rm -f "$R/lib/modules/$(uname -r)"; trap - RETURN' RETURN; }
	in_root sh -c "$cmd" || return 1
	local f=${cmd##*--output=}
	cat "$R${f%% *}" && rm "$R${f%% *}"
}
kmods_nodes=$(static_nodes)
cp "$work"/dist/safeload-kmod_*_amd64.deb "$R/run/safeload-kmod.deb"

echo '# the keyboard of the initramfs' >>"$R/etc/modules" # and nobody loses it
gap_start
t "safeload-kmod takes kmod's place" in_root dpkg -i /run/safeload.deb /run/safeload-kmod.deb
purged() { in_root dpkg --purge kmod && [ ! -e "$R/var/lib/dpkg/info/kmod.list" ] && in_root dpkg --audit && [ -z "$(in_root dpkg --audit)" ]; }
t "  and kmod can be purged" purged
t "  which leaves /etc/modules" grep -qx '# the keyboard of the initramfs' "$R/etc/modules"
t "    with one name" sh -c "[ ! -e $R/etc/modules.safeload-kmod ]"
t "no moment without modprobe" no_gap
t "  modprobe is safeload" modprobe_is safeload
t "  and works" modprobe_works
nothing_diverted() { ! grep 'safeload-kmod' "$R/var/lib/dpkg/diversions"; } # Debian 13's own have names like those of preinst
t "  and nothing is diverted" nothing_diverted
programs() {
	local p
	for p in /sbin/modprobe /sbin/insmod /sbin/rmmod /sbin/lsmod /sbin/modinfo /sbin/depmod /bin/kmod /bin/lsmod; do
		in_root "$p" --version | grep -q '^kmod version' || { echo "$p does not run"; return 1; }
	done
	! in_root find / -xdev -name kmod -type f -path '*bin*' | grep .
}
t "  all of kmod's programs are there, and none is kmod's" programs
depends() { in_root dpkg -s "linux-image-$kver" | grep -q 'kmod' && in_root sh -c 'apt-get check -q' ; }
t "  what depends on kmod is satisfied" depends
same() { [ "$1" = "$2" ] || { diff <(echo "$1") <(echo "$2"); return 1; }; }
# build-id: kmod 30 does not know it (docs/kmod-differences.md).
t "modinfo" same "$want_info" "$(in_root modinfo -k "$kver" virtio_net | grep -v '^build-id:')"

indexes() { rm -f "$R/lib/modules/$kver/modules.dep" && "$@" && same "$(deps_files | grep -v '\.bin')" "$(echo "$kmods_files" | grep -v '\.bin')"; }
t "depmod makes the same indexes" indexes in_root depmod "$kver"
t "the kernel's package makes them when it is configured" indexes in_root "/var/lib/dpkg/info/linux-image-$kver.postinst" configure
same_nodes() { [ "$(grep -c '^c! /dev/' <<<"$kmods_nodes")" -gt 3 ] && same "$kmods_nodes" "$(static_nodes)"; }
t "kmod-static-nodes.service's command" same_nodes
modprobe_unit() {
	local cmd; cmd=$(exec_of modprobe@.service)
	[ -n "$cmd" ] || { echo "no such unit"; return 1; }
	in_root sh -c "${cmd//%[iI]/virtio_net} -n -S $kver"
}
t "modprobe@.service's command" modprobe_unit

# initscript: what systems without systemd start, with a modprobe that only says what it would load.
initscript() {
	mkdir -p "$R/usr/local/lib/modules-load.d"
	echo 'virtio_net napi_tx=0' >"$R/etc/modules-load.d/pkg-test.conf"
	echo 'virtio_blk' | tee "$R/usr/local/lib/modules-load.d/pkg-test.conf" >"$R/usr/local/lib/modules-load.d/pkg-test2.conf"
	ln -s /dev/null "$R/etc/modules-load.d/pkg-test3.conf"
	echo 'virtio_scsi' >"$R/usr/local/lib/modules-load.d/pkg-test3.conf"
	cp "$R/etc/modules" "$work/modules"
	printf '\n# a comment\nvirtio_balloon' >>"$R/etc/modules"
	# This machine's kernel may have no modules.
	sed '/\/proc\/modules/d' "$R/etc/init.d/safeload-kmod" >"$R/run/initscript"
	in_root env MODPROBE_OPTIONS="-D -S $kver" sh /run/initscript start >"$work/initscript" 2>&1
	cat "$work/modules" >"$R/etc/modules"
	rm "$R"/etc/modules-load.d/pkg-test*.conf "$R"/usr/local/lib/modules-load.d/pkg-test*.conf
	local want='virtio_balloon.ko virtio_net.ko napi_tx=0 virtio_blk.ko' # modules.conf is a link to /etc/modules
	[ -x "$R/etc/init.d/safeload-kmod" ] && same "$want" "$(sed 's/\.ko\.xz\>/.ko/' "$work/initscript" | grep -oE 'virtio_(net|blk|scsi|balloon)\.ko( napi_tx=0)?' | tr '\n' ' ' | sed 's/ $//')"
}
t "the init script loads what modules-load.d and /etc/modules name" initscript
t "  it is started at boot" sh -c "ls $R/etc/rcS.d/S??safeload-kmod"
t "  but not by systemd, which does so by itself" [ "$(readlink "$R/usr/lib/systemd/system/safeload-kmod.service")" = systemd-modules-load.service ]

t "update-initramfs" in_root update-initramfs -u
initrd_same() { # all that is there with kmod but kmod itself and what it needs
	in_root lsinitramfs "/boot/initrd.img-$kver" | sort >"$work/initrd.ours"
	comm -23 "$work/initrd.kmod" "$work/initrd.ours" | grep -vE 'bin/kmod$|lib/x86_64-linux-gnu/|modprobe.d/aliases.conf$' | grep . && return 1
	grep -q 'sbin/modprobe$' "$work/initrd.ours"
}
t "  the initramfs lacks nothing but kmod" initrd_same
initrd_works() {
	rm -rf "$work/initrd" && mkdir "$work/initrd"
	in_root unmkinitramfs "/boot/initrd.img-$kver" /run/initrd || return 1
	local d=/run/initrd
	[ -d "$R$d/main" ] && d=$d/main
	in_root chroot "$d" /sbin/modprobe -V | grep safeload
	local rc=$?
	rm -rf "$R/run/initrd"
	return $rc
}
t "  and its modprobe is safeload" initrd_works
# again_made PACKAGE: what is unpacked once more is in the initramfs afterwards.
again_made() {
	touch -d @0 "$R/boot/initrd.img-$kver" && in_root dpkg -i "/run/$1.deb" || return 1
	[ "$(stat -c %Y "$R/boot/initrd.img-$kver")" != 0 ]
}
t "safeload-kmod installed again makes the initramfs anew" again_made safeload-kmod
t "  and so does safeload" again_made safeload

if [ "$kmod_only" = boot ]; then
	. scripts/pkg-kmod-boot.sh
	. scripts/pkg-kmod-tools.sh
fi

# The way back. apt removes safeload-kmod before it unpacks kmod.
apt_back() { in_root apt-get install -y -q -o APT::Sandbox::User=root /run/kmod.deb >"$work/apt-back" 2>&1 || { cat "$work/apt-back"; return 1; }; }
one_name() { [ -e "$R/etc/modules" ] && [ ! -e "$R/etc/modules.safeload-kmod" ]; }
two_names() { [ "$R/etc/modules" -ef "$R/etc/modules.safeload-kmod" ]; }
gap_start
t "apt-get brings kmod back" apt_back
t "no moment without modprobe" no_gap
t "  modprobe is kmod" modprobe_is kmod
t "  and works" modprobe_works
says_nothing() { grep -q 'Removing safeload-kmod' "$work/apt-back" && ! grep "stay safeload's" "$work/apt-back"; }
t "  nobody says that it stays safeload's" says_nothing
# Debian 13's kmod has none.
only_kmods() { { [ "$suite" != bookworm ] || [ -x "$R/etc/init.d/kmod" ]; } && [ -e "$R/etc/init.d/safeload-kmod" ] && [ ! -x "$R/etc/init.d/safeload-kmod" ]; }
t "  and no script but kmod's starts at boot" only_kmods
t "purge" in_root dpkg --purge safeload-kmod safeload
t "  modprobe is kmod" modprobe_is kmod
t "  kmod's programs are all there" in_root dpkg --verify kmod
t "  and nothing is diverted" nothing_diverted

in_root dpkg -i /run/safeload.deb /run/safeload-kmod.deb >/dev/null 2>&1
gap_start
removed() { in_root dpkg --remove --force-depends safeload-kmod 2>&1 | grep "stay safeload's until kmod is installed"; }
t "removed with nothing in its place, it says what stays" removed
t "  modprobe is still safeload's" modprobe_is safeload
in_root systemctl enable safeload-watch.service >/dev/null 2>&1
# The programs that the links lead to stay, and so does what guards this system.
refused() {
	local out
	! out=$(in_root dpkg --remove safeload 2>&1) || return 1
	grep 'lead nowhere: /usr/sbin/modprobe .*/usr/bin/kmod' <<<"$out" && grep 'apt-get --fix-broken install kmod$' <<<"$out"
}
t "removing safeload, which they lead to, is refused" refused
t "  modprobe works" modprobe_works
t "  and the watcher stays enabled" in_root systemctl is-enabled safeload-watch.service
advice() { in_root apt-get --fix-broken install -y -q -o APT::Sandbox::User=root /run/kmod.deb; }
t "the advice: apt-get installs kmod" advice
t "  then it goes" in_root dpkg --remove safeload
t "no moment without modprobe" no_gap
t "  modprobe is kmod" modprobe_is kmod
t "  and the watcher is disabled" sh -c "! chroot $R systemctl is-enabled safeload-watch.service"
forget() { in_root dpkg --purge safeload safeload-kmod; }
t "purge of both" forget
t "  leaves kmod's programs" in_root dpkg --verify kmod
one_go() {
	in_root dpkg -i /run/safeload.deb /run/safeload-kmod.deb && in_root apt-get install -y -q -o APT::Sandbox::User=root /run/kmod.deb safeload- safeload-kmod-
}
gap_start
t "apt-get brings kmod back and removes both in one go" one_go
t "no moment without modprobe" no_gap
t "  modprobe is kmod" modprobe_is kmod
t "  and /etc/modules has one name" one_name

in_root dpkg -i /run/safeload.deb /run/safeload-kmod.deb >/dev/null 2>&1
in_root dpkg --remove --force-depends safeload-kmod >/dev/null 2>&1
t "purged, it is gone" in_root dpkg --purge --force-depends safeload-kmod
t "  and then safeload goes, too" in_root dpkg --purge safeload
t "  without a trace" sh -c "! [ -L $R/usr/sbin/modprobe ] && ! [ -L $R/usr/bin/kmod ]"
t "kmod again" in_root dpkg -i /run/kmod.deb
t "  kmod's programs are all there" in_root dpkg --verify kmod

# dpkg triggers no package that is not configured, and runs no prerm of one that is only unpacked.
echo '# of this system' >>"$R/etc/modules"
kept() { grep -qx "# $1" "$R/etc/modules" || { cat "$R/etc/modules"; return 1; }; }
not_configured() {
	in_root dpkg -i /run/safeload.deb || return 1
	mv "$R/usr/sbin/update-initramfs" "$R/run/" && cp "$R/bin/false" "$R/usr/sbin/update-initramfs"
	in_root dpkg -i /run/safeload-kmod.deb && echo "safeload-kmod was configured" && return 1
	in_root dpkg --purge --force-depends kmod && kept "of this system"
	local rc=$?
	mv "$R/run/update-initramfs" "$R/usr/sbin/"
	return $rc
}
t "kmod is purged before safeload-kmod is configured" not_configured
t "  which leaves /etc/modules" kept "of this system"
t "  then it is configured" in_root dpkg --configure -a
t "    with one name" one_name
t "apt-get brings kmod back" apt_back
unpacked() { in_root dpkg --purge safeload-kmod && in_root dpkg --unpack /run/safeload-kmod.deb && two_names && in_root dpkg --purge --force-depends kmod && [ ! -e "$R/etc/modules" ]; }
t "kmod is purged when safeload-kmod is only unpacked" unpacked
t "  and that is removed" in_root dpkg --remove --force-depends safeload-kmod
t "  which brings /etc/modules back" kept "of this system"
t "    with one name" one_name
t "  modprobe is safeload" modprobe_is safeload
t "  and nothing is diverted" nothing_diverted
t "kmod again" in_root dpkg -i /run/kmod.deb
t "  kmod's programs are all there" in_root dpkg --verify kmod
# dpkg says abort-install to postrm when preinst fails, as it does when it cannot unpack.
not_installed() {
	rm -rf "$work/x" && dpkg-deb -R "$R/run/safeload-kmod.deb" "$work/x" && echo 'exit 1' >>"$work/x/DEBIAN/preinst" && dpkg-deb -b "$work/x" "$R/run/fails.deb" || return 1
	in_root dpkg -i /run/fails.deb && echo "it was installed" && return 1
	one_name && nothing_diverted && kept "of this system"
}
t "an installation that fails changes nothing" not_installed
t "  kmod's programs are all there" in_root dpkg --verify kmod

apt_forth() { in_root apt-get install -y -q -o APT::Sandbox::User=root /run/safeload.deb /run/safeload-kmod.deb; }
t "apt-get puts safeload-kmod in its place" apt_forth
t "  modprobe is safeload" modprobe_is safeload
# replaced: another file is put in the place of /etc/modules, which ends that it has two names.
replaced() { two_names && sed -i '$a # put by sed' "$R/etc/modules" && ! two_names; }
t "/etc/modules is replaced by another" replaced
t "kmod is purged" in_root dpkg --purge kmod
t "  which leaves what was put there" kept "put by sed"
t "    with one name" one_name
apt_back >/dev/null 2>&1
in_root dpkg --purge safeload-kmod safeload >/dev/null 2>&1
gone() { ! (cd "$R" && find etc usr/lib/systemd -name '*safeload-kmod*') | grep .; }
t "purged, nothing of safeload-kmod remains" gone
