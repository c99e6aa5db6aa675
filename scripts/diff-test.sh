#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Compares modprobe and its applets with real kmod, the installed one and the one of a newer Debian, over Debian's
# module trees of arm, arm64 and amd64, and in configurations made by chance. Needs root (chroot), or sudo. Closing line:
# N passed, N failed.
set -eu

usage() {
	cat <<-'USAGE'
		usage: diff-test.sh [--kmod NAME=PATH]... [--kernel KEY]... [--random COUNT] [--depmod COUNT] [--depmod-trees] [--seed N] [-- difftest options]
		  --kmod NAME=PATH  another kmod to compare with: a program, or a directory in which a system is unpacked
		  --kernel KEY      a kernel of `vm-test.sh --list`; default: all of them
		  --random COUNT    only in so many configurations made by chance, over small trees made by chance;
		                    without it 40 are part of the run
		  --depmod COUNT    the same of depmod: over so many trees and depmod.d made by chance
		  --depmod-trees    compare depmod's indexes of all the trees, not only of one plain and one .xz
		  --seed N          makes others of them; 1 if not said. A difference is printed with what repeats it
		Environment: SAFELOAD_CACHE (packages and trees; default .cache)
	USAGE
}

cd "$(dirname "$0")/.."
# Mounts of its own: they go with the script, however it ends.
if [ "$(id -u)" = 0 ] && [ -z "${DIFF_TEST_NS-}" ]; then
	DIFF_TEST_NS=yes exec unshare --mount --propagation private "$0" "$@"
fi
kernels=() args=() random='' depmod='' all_trees=''
while [ $# -gt 0 ]; do
	case $1 in
	--kmod) args+=(-kmod "$2"); shift 2 ;;
	--random) random=$2; shift 2 ;;
	--depmod) depmod=$2; shift 2 ;;
	--depmod-trees) all_trees=yes; shift ;;
	--seed) args+=(-seed "$2"); shift 2 ;;
	--kernel) kernels+=("$2"); shift 2 ;;
	--) shift; args+=("$@"); break ;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
[ -n "$random$depmod" ] || [ ${#kernels[@]} -gt 0 ] || kernels=(arm-6.12 arm-6.1 arm64-6.12 amd64-6.12)
if [ -z "$random$depmod" ]; then
	random=40 depmod=40
fi

. scripts/setup.sh
. scripts/vm/lib.sh
# chroot is root's; all else, which writes to the cache, is not.
as_root diff-test true || exit 1

kmod=$(readlink -f /sbin/modprobe 2>/dev/null || true)
case $kmod in
*/kmod) ;;
*)
	say "diff-test: installing kmod"
	packages_list diff-test && packages_install diff-test kmod || exit 1
	kmod=$(readlink -f /sbin/modprobe)
	;;
esac
version=$("$kmod" --version | awk 'NR == 1 {print $3}')

peers=(-kmod "$version=$kmod")
if kmod_newer; then
	newer=$(as_root diff-test chroot "$kmod_root" /usr/bin/kmod --version | awk 'NR == 1 {print $3}')
	[ "$newer" = "$version" ] || peers+=(-kmod "$newer=$kmod_root")
else
	say "diff-test: NOT COMPARED with a newer kmod: $kmod_missing"
fi

# tree_get KEY: sets tree, the modules as the package ships them, with depmod's
# files. The tree that the guests use holds each module twice.
tree_get() {
	kernel_get "$1" || exit 1
	tree=$cache/trees/$deb_arch/$kver/lib/modules/$kver
	locked "tree-$deb_arch-$kver" tree_make
}

tree_make() {
	local top=$cache/trees/$deb_arch/$kver from=$kdir/lib/modules/$kver pattern
	[ -e "$top/.complete" ] && return 0
	say "diff-test: depmod for $kver ($deb_arch)"
	rm -rf "$top"
	mkdir -p "$tree"
	[ -z "$(find "$from" -name '*.ko.xz' -print -quit)" ] && pattern='*.ko' || pattern='*.ko.xz'
	(cd "$from" && find . -name "$pattern" | cpio -pdl --quiet "$tree")
	cp "$from"/modules.{order,builtin,builtin.modinfo} "$tree/"
	depmod -b "$top" "$kver"
	: >"$top/.complete"
}

trees=()
for k in "${kernels[@]+"${kernels[@]}"}"; do
	tree_get "$k"
	trees+=(-tree "$tree")
	# Of those of a usual run, one without and one with compression: xz takes depmod its time.
	case $all_trees:$k in
	yes:* | :arm-6.1 | :amd64-6.12) trees+=(-depmod-tree "$tree") ;;
	esac
done

work=$(mktemp -d)
trap 'as_root diff-test sh -c "umount $work/memory 2>/dev/null; rm -rf $work"' EXIT
# libraries and links of a chroot must be reachable for the unprivileged
chmod 755 "$work"
# With the decompressor linked: the one that build.sh embeds needs /proc, or rights, to run. A guest tests that one.
# With the entry of the helper that is installed, so that it answers first.
go build -tags safeload_spare -ldflags '-checklinkname=0 -s -w -E safeload/internal/nowhere.start' -o "$work/safeload-modprobe" ./cmd/safeload-modprobe
go build -o "$work/safeload" ./cmd/safeload
go build -o "$work/difftest" ./scripts/difftest
# depmod writes its files down to the disk: in memory that takes no time.
mkdir "$work/memory"
as_root diff-test mount -t tmpfs -o mode=755 none "$work/memory"
as_root diff-test "$work/difftest" -ours "$work/safeload-modprobe" -safeload "$work/safeload" -work "$work/roots" -memory "$work/memory" \
	-docs docs/kmod-differences.md -random "${random:-0}" -depmod "${depmod:-0}" "${peers[@]}" "${trees[@]+"${trees[@]}"}" "${args[@]+"${args[@]}"}"
