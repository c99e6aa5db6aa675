# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A kernel of the matrix in the cache: image, modules, headers, and our test modules built against them.

# kernel_get KEY: sets kver (version), kdir (unpacked packages), kimage.
# The newest version is looked up at most once in twelve hours.
kernel_get() {
	local memo=$cache/kernels/$1.version
	kernel_fields "$1"
	mkdir -p "$cache/kernels"
	locked "kernel-$1" kernel_get_locked "$1" "$memo" || return 1
	kver=$(cat "$memo")
	kdir=$cache/kernels/$deb_arch/$kver
	kimage=$kdir/boot/vmlinuz-$kver
}

kernel_get_locked() {
	local v d f
	if [ -z "$(find "$2" -mmin -720 2>/dev/null)" ]; then
		v=$(newest_kernel "$deb_arch$suite" "$series" "$flavour") || return 1
		d=$cache/kernels/$deb_arch/$v
		if [ ! -e "$d/.complete" ]; then
			rm -rf "$d"
			deb_unpack "$d" "$deb_arch$suite" "linux-image-$v" || return 1
			# From 7.0 on the package only depends on those that have the files.
			[ -e "$d/boot/vmlinuz-$v" ] || deb_unpack "$d" "$deb_arch$suite" linux-{base,binary,modules}-"$v" || return 1
			if [ ! -e "$d/boot/vmlinuz-$v" ]; then
				mkdir -p "$d"/{boot,lib}
				for f in vmlinuz config; do ln -s "../usr/lib/modules/$v/$f" "$d/boot/$f-$v"; done
				ln -s ../usr/lib/modules "$d/lib/modules"
			fi
			# trixie's packages have them below usr alone.
			[ -e "$d/lib/modules" ] || { mkdir -p "$d/lib" && ln -s ../usr/lib/modules "$d/lib/modules"; } || return 1
			kernel_uncompress "$d/lib/modules/$v" || return 1
			: >"$d/.complete"
		fi
		printf '%s\n' "$v" >"$2"
	fi
}

# kernel_uncompress TREE: plain .ko beside each .ko.xz that it has, so that an image can hold either.
kernel_uncompress() {
	find "$1" -name '*.ko.xz' -print0 | xargs -0 -r -n 64 xz -dkf || return 1
}

# headers_get: the headers of kernel $kver in $hdir, ready for a cross build.
headers_get() {
	hdir=$kdir/headers
	locked "headers-$deb_arch-$kver" headers_get_locked
}

headers_get_locked() {
	local h=linux-headers-$kver deps common kbuild f src=$hdir/usr/src
	[ -e "$hdir/.complete" ] && return 0
	rm -rf "$hdir"
	f=$(deb_get "$deb_arch$suite" "$h") || return 1
	deps=$(dpkg-deb -f "$f" Depends)
	common=$(grep -oE 'linux-headers-[^ ,]+-common' <<<"$deps" | head -1)
	kbuild=$(grep -oE 'linux-kbuild-[^ ,]+' <<<"$deps" | head -1)
	deb_unpack "$hdir" "$deb_arch$suite" "$h" "$common" || return 1
	# kbuild's programs run here, not in the guest.
	deb_unpack "$hdir" "$(dpkg --print-architecture)$suite" "$kbuild" || return 1
	[ -z "$suite" ] || own_libc "$hdir/usr/lib/$kbuild" || return 1
	sed -i "s|/usr/src/|$src/|g" "$src/$h/Makefile" "$src/$h/.kernelvariables" 2>/dev/null
	local l
	for l in scripts tools; do
		ln -sfn "$hdir/usr/lib/$kbuild/$l" "$src/$common/$l"
		[ ! -L "$src/$h/$l" ] || ln -sfn "$hdir/usr/lib/$kbuild/$l" "$src/$h/$l"
	done
	: >"$hdir/.complete"
}

# own_libc DIR: the programs in it are of a newer Debian than this machine may be. Those that its libc is too old for
# are run with theirs.
own_libc() {
	local f libc=$hdir/libc base=${suite%-backports} ld
	deb_unpack "$libc" "$(dpkg --print-architecture)$base" libc6 || return 1
	ld=$(echo "$libc"/usr/lib/*/ld-linux*.so.*)
	[ -x "$ld" ] || die "$libc: no ld-linux.so in it"
	while IFS= read -r -d '' f; do
		ldd "$f" 2>&1 | grep -q "version .* not found" || continue
		mv "$f" "$f.elf" || return 1
		# As the library path is searched first only, what is not libc's is still the machine's own.
		printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$ld" "${ld%/*}" "$f.elf" >"$f"
		chmod 755 "$f"
	done < <(find "$1" -type f -perm -100 -size +0 -print0)
}

# testmods_get: our test modules for kernel $kver, in $tdir. Built once for each state of their sources.
testmods_get() {
	local sum
	sum=$(cat "$vm_dir"/modules/* | sha256sum | cut -c1-12)
	tdir=$kdir/testmods-$sum
	[ -e "$tdir/.complete" ] || locked "testmods-$deb_arch-$kver" testmods_build
}

testmods_build() {
	local log=$cache/log/testmods-$deb_arch-$kver.log
	[ -e "$tdir/.complete" ] && return 0
	headers_get || return 1
	say "building the test modules for $kver"
	testmods_sources
	case $go_arch-$kver in arm-6.12.*) neonbs_sources || return 1; neonbs=m ;; esac
	testmods_compile "$log" "for $kver do not build (log: $log)"
}

testmods_sources() {
	rm -rf "$tdir"; mkdir -p "$tdir"
	cp "$vm_dir"/modules/* "$tdir/"
	neonbs=n
}

testmods_compile() {
	kbuild "$tdir" >"$1" 2>&1 || { tail -20 "$1" >&2; die "test modules $2"; }
	: >"$tdir/.complete"
}

# testmods_own: the same against a kernel developer's own build tree.
testmods_own() {
	tdir=$work/testmods-own
	[ ! -e "$tdir/.complete" ] || return 0
	testmods_sources
	testmods_compile "$work/testmods-own.log" "do not build against --headers $own_headers"
}

# source_deb: the sources of 6.1, which Debian 12 has.
source_deb() {
	local arch
	arch=$(dpkg --print-architecture)
	# shellcheck source=/dev/null
	[ "$(. /etc/os-release && echo "$VERSION_CODENAME")" = bookworm ] || arch+=@bookworm
	deb_get "$arch" linux-source-6.1
}

# neonbs_sources: aes-arm-bs as it was in 6.1, from Debian's source package.
neonbs_sources() {
	local f
	f=$(source_deb) || return 1
	dpkg-deb --fsys-tarfile "$f" | tar -xO ./usr/src/linux-source-6.1.tar.xz |
		tar -xJ -C "$tdir" --strip-components=4 --wildcards '*/arch/arm/crypto/aes-neonbs-*' || return 1
	patch -s "$tdir/aes-neonbs-glue.c" <"$tdir/aes-neonbs-wait.patch"
}

# kbuild DIR: builds the out-of-tree modules of DIR. The two empty settings undo what headers configured
# by a newer compiler would ask of this one.
kbuild() {
	"cross_$go_arch"
	make -C "${own_headers:-$hdir/usr/src/linux-headers-$kver}" M="$1" ARCH="$karch" CROSS_COMPILE="$cross" CC="${cross}gcc" \
		CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT= CONFIG_DEBUG_INFO_BTF_MODULES= NEONBS="${neonbs:-n}" modules
}
