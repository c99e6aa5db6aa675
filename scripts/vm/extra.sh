# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What single cases need in their image beyond modules: "# extra: NAME" in a case calls extra_NAME ROOT.

# extra_xz: a second tree in /xz with compressed modules, as distributions have them.
extra_xz() {
	local tree=$1/xz/lib/modules/$kver m
	mkdir -p "$tree/updates"
	cp "$pdir/lib/modules/$kver"/modules.{builtin,builtin.modinfo,order} "$tree/"
	for m in x0 x1 x2 x3 x4 x5; do LC_ALL=C sed "s/slreq_00/slreq_$m/g" "$tdir/slreq_00.ko" >"$tree/updates/slreq_$m.ko"; done
	"${cross}strip" -d "$tree"/updates/*.ko
	# The kernel's own decompressor takes no larger dictionary and no CRC64 (scripts/Makefile.modinst).
	xz --check=crc32 --lzma2=dict=1MiB "$tree/updates/slreq_x0.ko" "$tree/updates/slreq_x1.ko"
	gzip -9 "$tree/updates/slreq_x2.ko"
	xz --check=crc64 --lzma2=dict=1MiB "$tree/updates/slreq_x3.ko"
	xz --check=crc32 --arm --lzma2=dict=96MiB "$tree/updates/slreq_x4.ko"
	xz --check=sha256 --lzma2=dict=1MiB "$tree/updates/slreq_x5.ko"
	depmod -b "$1/xz" "$kver"
}

# extra_incident: on 6.12, aes-arm-bs as it was when it hung; 6.1 has it still.
extra_incident() {
	local tree=$1/lib/modules/$kver
	[ -s "$tdir/aes-arm-bs.ko" ] || return 0
	find "$tree" -name 'aes-arm-bs.ko*' -delete
	cp "$tdir/aes-arm-bs.ko" "$tree/updates/"
	"${cross}strip" -d "$tree/updates/aes-arm-bs.ko"
}

# extra_early_recursion: what the kernel asks for before /init runs leads to a module that asks for itself.
extra_early_recursion() {
	mkdir -p "$1/etc/modprobe.d"
	{
		printf 'alias %s slreq_h0\n' 'crypto-cbc(aes)' 'crypto-ecb(aes)' 'crypto-ctr(aes)' 'crypto-hmac(sha256)'
		echo 'options slreq_h0 req=slreq_h0'
	} >"$1/etc/modprobe.d/early.conf"
}

# extra_net: hundreds of modules that load without hardware: packet filters, schedulers, character sets.
extra_net() {
	local from=$pdir/lib/modules/$kver
	(cd "$from" && find kernel/net kernel/fs/nls -path '*filter*' -name '*.ko' -o -path 'kernel/net/sched/*.ko' -o -path '*/nls/*.ko') |
		sed 's|.*/||; s|\.ko$||' | sort -u | xargs -r bash -c "$(declare -f with_deps); pdir=$pdir kver=$kver; with_deps \"\$@\"" _ |
		(cd "$from" && cpio -pdmL "$1/lib/modules/$kver") 2>/dev/null
}

# extra_config: the kernel's configuration where distributions leave it.
extra_config() { mkdir -p "$1/boot" && cp "$kdir/boot/config-$kver" "$1/boot/"; }

# extra_dpkg: dpkg's diversions: the real dpkg-divert, and a database that knows no package.
extra_dpkg() {
	local d=$cache/userland/$deb_arch-dpkg
	locked "userland-dpkg-$deb_arch" extra_dpkg_get "$d" || return 1
	cp "$d/usr/bin/dpkg-divert" "$1/usr/bin/"
	cp -a "$d"/usr/lib/*-linux-*/libmd.so.0* "$1/lib/" 2>/dev/null || cp -a "$d"/lib/*-linux-*/libmd.so.0* "$1/lib/" || return 1
	mkdir -p "$1/var/lib/dpkg/info" "$1/var/lib/dpkg/updates"
	: >"$1/var/lib/dpkg/status"
	: >"$1/var/lib/dpkg/diversions"
}
extra_dpkg_get() {
	[ -e "$1/.complete" ] && return 0
	rm -rf "$1"
	deb_unpack "$1" "$deb_arch" dpkg libmd0 || return 1
	: >"$1/.complete"
}

# extra_bench: the program of scripts/bench.sh, and one that does nothing.
extra_bench() {
	mkdir -p "$bdir/empty"
	printf 'package main\n\nfunc main() {}\n' >"$bdir/empty/main.go"
	go_cross build -ldflags '-s -w' -o "$1/t/empty" "$bdir/empty/main.go" && go_cross build -o "$1/t/bench" ./scripts/bench
}

# extra_identity: modules in files that are called otherwise: slreq_xN in slreq-xN-current.ko, one of them compressed.
extra_identity() {
	local tree=$1/lib/modules/$kver/updates m
	mkdir -p "$tree"
	for m in x5 x6 x7; do LC_ALL=C sed "s/slreq_00/slreq_$m/g" "$tdir/slreq_00.ko" >"$tree/slreq-$m-current.ko"; done
	"${cross}strip" -d "$tree"/slreq-x?-current.ko
	xz --check=crc32 --lzma2=dict=1MiB "$tree/slreq-x6-current.ko"
}
