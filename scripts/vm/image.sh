# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a guest consists of: busybox, the real kmod, safeload, modules, cases, packed as an initramfs.

# modules that the kernels ask for by themselves, besides those that cases name
base_modules=(virtio_pci virtio_console tcrypt crypto_user af_alg algif_skcipher algif_hash ecb cbc ctr hmac sha256_generic aes_generic dummy)

# userland_get: busybox and kmod with its libraries for $deb_arch, in $udir.
userland_get() {
	udir=$cache/userland/$deb_arch
	locked "userland-$deb_arch" userland_get_locked
}

userland_get_locked() {
	[ -e "$udir/.complete" ] && return 0
	rm -rf "$udir"
	local libraries name
	libraries=$(libraries_of "$deb_arch" kmod) && [ -n "$libraries" ] || return 1
	# shellcheck disable=SC2086 # names
	deb_unpack "$udir" "$deb_arch" busybox-static kmod $libraries || return 1
	# trixie's packages have all of it below usr alone.
	for name in bin lib lib64; do
		[ -e "$udir/$name" ] || [ ! -e "$udir/usr/$name" ] || mv "$udir/usr/$name" "$udir/" || return 1
	done
	: >"$udir/.complete"
}

# libraries_of ARCH PACKAGE: those that it depends on, whatever this Debian calls them (libssl3, libssl3t64), one a line.
libraries_of() {
	local arch=$1 todo=("$2") f p name found=' '
	while [ ${#todo[@]} -gt 0 ]; do
		p=${todo[0]} todo=("${todo[@]:1}")
		f=$(deb_get "$arch" "$p") || return 1
		while read -r name; do
			case $found in *" $name "*) continue ;; esac
			found+="$name "
			echo "$name"
			# What libc6 asks for beyond itself no modprobe uses.
			[ "$name" = libc6 ] || todo+=("$name")
		done < <(dpkg-deb -f "$f" Pre-Depends Depends | sed 's/^[A-Za-z-]*: //' | tr ',' '
' | grep -oE '^ *(lib[a-z0-9.+-]+|zlib1g)' | tr -d ' ')
	done
}

# binaries_get: safeload-modprobe and safeload for $go_arch, and the tools and tests of the rig, in $bdir.
binaries_get() {
	bdir=$work/bin/$go_arch
	[ -e "$bdir/.complete" ] && return 0
	mkdir -p "$bdir"
	if [ -n "$dist" ]; then
		cp "$dist/safeload-modprobe-linux-$go_arch" "$bdir/safeload-modprobe" && cp "$dist/safeload-linux-$go_arch" "$bdir/safeload" ||
			die "--dist $dist: no safeload-modprobe-linux-$go_arch and safeload-linux-$go_arch in it"
	else
		say "building safeload for $go_arch"
		(cd "$repo" && locked build scripts/build.sh "$go_arch") >"$work/build-$go_arch.log" 2>&1 &&
			cp "$repo/dist/safeload-modprobe-linux-$go_arch" "$bdir/safeload-modprobe" &&
			cp "$repo/dist/safeload-linux-$go_arch" "$bdir/safeload" || { tail -20 "$work/build-$go_arch.log" >&2; die "safeload does not build for $go_arch"; }
	fi
	go_cross build -o "$bdir/vmtool" ./scripts/vm/tools/vmtool || die "scripts/vm/tools/vmtool does not build for $go_arch"
	: >"$bdir/.complete"
}

go_cross() { (cd "$repo" && CGO_ENABLED=0 GOOS=linux GOARCH=$go_arch GOARM=6 go "$1" -trimpath "${@:2}"); }

# plain_tree: the kernel's modules, uncompressed and indexed, in $pdir/lib/modules/$kver.
plain_tree() {
	pdir=$kdir/plain
	locked "plain-$deb_arch-$kver" plain_tree_locked
}

plain_tree_locked() {
	local m=$kdir/lib/modules/$kver p=$kdir/plain/lib/modules/$kver
	[ -e "$kdir/plain/.complete" ] && return 0
	rm -rf "$kdir/plain"; mkdir -p "$p"
	cp "$m"/modules.{builtin,builtin.modinfo,order} "$p/"
	(cd "$m" && find kernel -name '*.ko' -print0 | cpio -0pdl "$p") 2>/dev/null
	depmod -b "$kdir/plain" "$kver" || return 1
	: >"$kdir/plain/.complete"
}

# with_deps NAME...: the files, relative to the tree, of modules and what they need.
with_deps() {
	local n
	for n; do
		modprobe -C /nonexistent -d "$pdir" -S "$kver" --ignore-install --show-depends "$n" 2>/dev/null |
			awk '$1 == "insmod" {print $2}'
	done | sed "s|^$pdir/lib/modules/$kver/||" | sort -u
}

# header FIELD CASE-FILE: a line "# FIELD: value" of a case.
header() { sed -n "s/^# $1: *//p" "$2" | head -1; }

# image_make DIR CASE-FILE...: with $mode stock, safe or shell, or base, for all that no change of ours changes: makes the guest's root in DIR/root.
image_make() {
	local dir=$1 root=$1/root m c n helper=yes; shift
	rm -rf "$root"; mkdir -p "$root"/{bin,sbin,usr/bin,lib,etc/modprobe.d,stock,safe,t/cases,t/files,"lib/modules/$kver"}
	cp "$udir/bin/busybox" "$root/bin/"
	# Its own modprobe and friends are left out: a case must say which one it means.
	busybox --list | grep -vxE 'modprobe|insmod|rmmod|lsmod|modinfo|depmod|busybox|init|linuxrc' | while read -r n; do ln -s busybox "$root/bin/$n"; done
	cp -a "$udir/bin/kmod" "$root/usr/bin/kmod"
	cp -a "$udir"/lib/. "$root/lib/" 2>/dev/null
	[ ! -d "$udir/lib64" ] || cp -a "$udir/lib64" "$root/"
	if [ -d "$udir/usr/lib" ]; then mkdir -p "$root/usr/lib"; cp -a "$udir"/usr/lib/*-linux-* "$root/usr/lib/"; fi
	rm -rf "$root"/{usr/lib,lib}/*/{gconv,engines-3,ossl-modules,perl*,libnss*}
	for n in modprobe insmod rmmod lsmod modinfo depmod; do ln -s /usr/bin/kmod "$root/stock/$n"; done
	install -m 0755 "$vm_dir/guest/init" "$root/init"
	if [ "$mode" != base ]; then
		cp "$bdir/safeload-modprobe" "$root/safe/modprobe"
		cp "$bdir/safeload" "$root/safe/safeload"
		cp "$bdir/vmtool" "$root/t/vmtool"
		cp "$vm_dir/guest/lib.sh" "$root/t/lib.sh"
	fi
	[ ! -e "$dir/input" ] || cp "$dir/input" "$root/t/input"

	local wanted=("${base_modules[@]}") copies=() extras=()
	for c; do
		cp "$c" "$root/t/cases/"
		read -ra n <<<"$(header modules "$c")"; wanted+=("${n[@]}")
		read -ra n <<<"$(header copies "$c")"; copies+=("${n[@]}")
		[ "$(header helper "$c")" != none ] || helper=no
		for n in $(header tests "$c"); do test_binary "$n" "$root/t/files" || return 1; done
		read -ra n <<<"$(header extra "$c")"; extras+=("${n[@]}")
	done
	if [ $helper = yes ]; then
		if [ "$mode" = stock ] || [ "$mode" = base ]; then ln -s /usr/bin/kmod "$root/sbin/modprobe"; else cp "$bdir/safeload-modprobe" "$root/sbin/modprobe"; fi
	fi

	local tree=$root/lib/modules/$kver
	cp "$pdir/lib/modules/$kver"/modules.{builtin,builtin.modinfo,order} "$tree/"
	{
		(cd "$pdir/lib/modules/$kver" && find kernel/crypto kernel/arch/*/crypto kernel/lib -name '*.ko' 2>/dev/null | sed 's|.*/||; s|\.ko$||')
		printf '%s\n' "${wanted[@]}"
	} | sort -u | xargs -r bash -c "$(declare -f with_deps); pdir=$pdir kver=$kver; with_deps \"\$@\"" _ |
		(cd "$pdir/lib/modules/$kver" && cpio -pdmL "$tree") 2>/dev/null
	mkdir -p "$tree/updates"
	[ "$mode" = base ] || [ -z "$tdir" ] || {
		cp "$tdir"/{slprov,sluse,slwait,slhub,slneed,sldev,sldevb}.ko "$tree/updates/"
		for m in $(printf '%s\n' "${copies[@]}" | sort -u); do
			[ ${#m} = 2 ] || die "copies: $m: names of two characters are needed, the binary is patched in place"
			LC_ALL=C sed "s/slreq_00/slreq_$m/g" "$tdir/slreq_00.ko" >"$tree/updates/slreq_$m.ko"
		done
	}
	find "$tree/updates" -name '*.ko' -exec "${cross}strip" -d {} +
	for n in $(printf '%s\n' "${extras[@]}" | sort -u); do "extra_$n" "$root" || return 1; done
	depmod -b "$root" "$kver"
}

# test_binary PACKAGE DIR: a Go test of ./PACKAGE, built with the tag vmtest, as NAME.test.
test_binary() {
	local name=${1//\//_}
	locked "test-$(basename "$work")-$go_arch" test_build "$1" "$bdir/$name.test" || return 1
	[ -s "$bdir/$name.test" ] || die "./$1 has no tests for the tag vmtest"
	cp "$bdir/$name.test" "$2/"
}

# prepare KEY: everything that a boot of this kernel needs.
prepare() {
	key=$1
	if [ -n "$own_image" ]; then
		own_kernel || return 1
	else
		kernel_get "$key" || return 1
		if [ -n "$without_testmods" ]; then tdir=''; else testmods_get || return 1; fi
	fi
	"cross_$go_arch"
	plain_tree && userland_get && locked "bin-$(basename "$work")-$go_arch" binaries_get || return 1
	binaries_get
	[ -e "$work/said-$key" ] || { say "$key: kernel $kver"; : >"$work/said-$key"; }
}

# own_kernel: a kernel developer's image and modules in place of Debian's.
own_kernel() {
	local trees=("$own_modules"/lib/modules/*)
	[ -d "${trees[0]}" ] && [ ${#trees[@]} -eq 1 ] || die "--modules $own_modules: exactly one lib/modules/VERSION is expected in it (make modules_install INSTALL_MOD_PATH=...)"
	kernel_fields "$(kernels_table | awk -v a="$arch" '$3 == a {print $1; exit}')"
	key=$arch-own kver=$(basename "${trees[0]}") kimage=$own_image kdir=$work/own tdir=''
	# Once: boots that run beside each other read the copy.
	if [ ! -e "$kdir/lib/modules/$kver" ]; then
		mkdir -p "$kdir/lib/modules"
		cp -aL "${trees[0]}" "$kdir/lib/modules/$kver" 2>/dev/null
		kernel_uncompress "$kdir/lib/modules/$kver"
	fi
	[ -z "$own_headers" ] || testmods_own
}
test_build() { [ -s "$2" ] || go_cross test -c -tags vmtest -o "$2" "./$1" || die "the tests of ./$1 do not build for $go_arch"; }
