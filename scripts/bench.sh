#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# CPU time of safeload-modprobe beside kmod and an empty Go program, in turns. Fails if safeload needs more of another's
# than is promised (scripts/bench/bounds.go), but not with --vm, which has other clocks.
set -eu

usage() {
	cat <<-'USAGE'
		usage: bench.sh [--tree DIR] [--kmod NAME=PATH]... [-- bench options, such as -runs N or -json]
		       bench.sh --depmod [--tree DIR] [--kmod NAME=PATH]... [-- options, such as -runs N]
		       bench.sh --vm KERNEL
		  --tree DIR        a module tree with depmod's files (…/lib/modules/VERSION); default: the running
		                    kernel's, or else one of those that scripts/diff-test.sh has made
		  --kmod NAME=PATH  another kmod besides the installed one and the one of a newer Debian
		  --depmod          depmod beside kmod's; DIR is a tree that is not compressed. It needs root, and 3 GiB of memory
		  --vm KERNEL       in a guest, with loads and removals; a kernel of `vm-test.sh --list`, such as arm-6.12
		Exit status: 1 if a bound of scripts/bench/bounds.go is missed (not looked at with --vm).
		Environment: SAFELOAD_CACHE (default .cache)
	USAGE
}

cd "$(dirname "$0")/.."
. scripts/vm/lib.sh
tree='' depmod='' peers=() args=()
while [ $# -gt 0 ]; do
	case $1 in
	--tree) tree=$2; shift 2 ;;
	--depmod) depmod=yes; shift ;;
	--kmod) peers+=("$2"); shift 2 ;;
	--kmod=*) peers+=("${1#*=}"); shift ;;
	--vm)
		# Of an x86 string instruction QEMU counts each round: a page cleared would be 4096 instructions.
		case $2 in amd64-*) export VM_ICOUNT=${VM_ICOUNT:-} ;; esac
		logs=$(mktemp -d)
		trap 'rm -rf "$logs"' EXIT
		scripts/vm-test.sh --arch "${2%-*}" --kernel "${2#*-}" --case bench --keep "$logs" || exit
		sed -n 's/^#L# bench: //p' "$logs"/*-bench-safe.log
		exit
		;;
	--) shift; args=("$@"); break ;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
if [ -z "$tree" ]; then
	for t in "/lib/modules/$(uname -r)" "$cache"/trees/*/*/lib/modules/*; do
		[ -z "$depmod" ] || [ -n "$(find "$t" -name '*.ko' -print -quit 2>/dev/null)" ] || continue
		[ -e "$t/modules.dep.bin" ] && tree=$t && break
	done
fi
[ -n "$tree" ] || { echo "bench: no module tree; name one with --tree, or run scripts/diff-test.sh first" >&2; exit 1; }
kmod=$(readlink -f /sbin/modprobe 2>/dev/null || true)
case $kmod in
*/kmod) ;;
*) echo "bench: /sbin/modprobe is not kmod's; install the package kmod" >&2; exit 1 ;;
esac
version=$("$kmod" --version | awk 'NR == 1 {print $3}')
tree=$(readlink -f "$tree")
work=$(mktemp -d "$cache/bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The trees of depmod are in memory, in every system at the same place.
if [ -n "$depmod" ]; then
	[ "$(id -u)" = 0 ] || { echo "bench: --depmod needs root, for mounts and chroot" >&2; exit 1; }
	[ -n "${BENCH_NS-}" ] || { rm -rf "$work"; BENCH_NS=yes exec unshare --mount --propagation private "$0" --depmod --tree "$tree" "${peers[@]/#/--kmod=}" -- "${args[@]+"${args[@]}"}"; }
	mount -t tmpfs -o mode=755 none "$work"
	if kmod_newer; then
		peers=("kmod $(chroot "$kmod_root" /usr/bin/kmod --version | awk 'NR == 1 {print $3}')=$kmod_root" "${peers[@]+"${peers[@]}"}")
	else
		say "bench: NOT MEASURED beside a newer kmod: $kmod_missing"
	fi
	for i in "${!peers[@]}"; do
		root=${peers[i]#*=}
		[ -d "$root" ] || continue
		cp -a "$root" "$work/peer-$i"
		mkdir -p "$work/peer-$i/proc"
		mount -t proc none "$work/peer-$i/proc" # kmod's master gives files their names by it
		peers[i]=${peers[i]%%=*}=$work/peer-$i
	done
	trap 'umount -R "$work" 2>/dev/null; rmdir "$work"' EXIT
	peers=("kmod $version=$kmod" "${peers[@]+"${peers[@]}"}")
	SAFELOAD_DIST=$work/dist scripts/build.sh "$(go env GOHOSTARCH)" >/dev/null
	go build -o "$work/bench" ./scripts/benchdepmod
	"$work/bench" -ours "$work/dist/safeload-linux-$(go env GOHOSTARCH)" -tree "$tree" -work "$work/trees" "${args[@]+"${args[@]}"}" "${peers[@]}"
	exit
fi

# A kmod with libraries of its own runs in a chroot that has the tree at the same place.
if [ "$(id -u)" != 0 ]; then
	say "bench: NOT MEASURED beside a newer kmod: that needs root, for chroot"
elif ! kmod_newer; then
	say "bench: NOT MEASURED beside a newer kmod: $kmod_missing"
else
	newer=$(chroot "$kmod_root" /usr/bin/kmod --version | awk 'NR == 1 {print $3}')
	cp -al "$kmod_root" "$work/newer"
	mkdir -p "$work/newer$(dirname "$tree")"
	cp -rlT "$tree" "$work/newer$tree" 2>/dev/null || { rm -rf "$work/newer$tree" && cp -rT "$tree" "$work/newer$tree"; }
	[ "$newer" = "$version" ] || peers=("kmod $newer=$work/newer" "${peers[@]+"${peers[@]}"}")
fi
peers=("kmod $version=$kmod" "${peers[@]+"${peers[@]}"}")

arch=$(go env GOHOSTARCH)
SAFELOAD_DIST=$work/dist scripts/build.sh "$arch" >/dev/null
SAFELOAD_ENTRY=entry.startHelper SAFELOAD_DIST=$work/late scripts/build.sh "$arch" >/dev/null
mkdir "$work/empty"
printf 'package main\n\nfunc main() {}\n' >"$work/empty/main.go"
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/empty/empty" "$work/empty/main.go"
go build -o "$work/bench" ./scripts/bench
# How a file lies in the page cache, in large pieces or in small ones, makes a tenth and more: a linker writes it in small
# ones, a package's installation in large ones. So all are copied, but for what is installed.
fresh() { cp "$1" "$1.copy" && mv "$1.copy" "$1"; }
fresh "$work/dist/safeload-modprobe-linux-$arch"
fresh "$work/late/safeload-modprobe-linux-$arch"
fresh "$work/empty/empty"
for i in "${!peers[@]}"; do
	path=${peers[i]#*=}
	if [ -f "$path" ] && [ "$path" != "$kmod" ]; then
		cp "$path" "$work/peer-$i"
		peers[i]=${peers[i]%%=*}=$work/peer-$i
	fi
done
"$work/bench" -check -tree "$tree" -late "$work/late/safeload-modprobe-linux-$arch" -ours "$work/dist/safeload-modprobe-linux-$arch" \
	-empty "$work/empty/empty" "${args[@]+"${args[@]}"}" "${peers[@]}"
