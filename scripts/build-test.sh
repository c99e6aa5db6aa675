#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts the built binaries as the kernel would, and holds them to what build.sh promises.
# usage: build-test.sh     builds all architectures afresh (about a minute and a half of CPU)
# The arm and arm64 binaries run by qemu-user (package qemu-user-static).
set -u
case ${1-} in
'') ;;
-h | --help) echo "usage: build-test.sh     builds all architectures afresh and starts them"; exit 0 ;;
*) echo "usage: build-test.sh" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.." || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
ok() { passed=$((passed + 1)); printf 'ok   %s\n' "$1"; }
bad() { failed=$((failed + 1)); printf 'FAIL %s\n' "$1"; }
check() { # name, expected, got
	if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: expected $2, got $3"; fi
}

SAFELOAD_DIST=$work/one scripts/build.sh >"$work/log" 2>&1 || { cat "$work/log"; bad build; }

if (cd "$work/one" && sha256sum --quiet -c SHA256SUMS && [ "$(wc -l <SHA256SUMS)" = "$(find . -name 'safeload-*' | wc -l)" ]); then
	ok 'SHA256SUMS has each program, as it is'
else
	bad 'SHA256SUMS is not of what was built'
fi

for f in "$work"/one/safeload-modprobe-linux-*; do
	cp "$f" "$work/helper"
	if go run ./scripts/wholepage "$work/helper" && cmp -s "$f" "$work/helper"; then
		ok "the data of ${f##*/} ends with a page"
	else
		bad "the data of ${f##*/} ends within a page, which costs a page fault"
	fi
done

# A second build, from another directory and with an empty build cache.
mkdir "$work/tree" "$work/cache"
git ls-files -z --cached --others --exclude-standard |
	tar --null --ignore-failed-read -T - -c 2>/dev/null | tar -x -C "$work/tree"
version=$(scripts/version.sh)
GOCACHE=$work/cache SAFELOAD_DIST=$work/two SAFELOAD_VERSION=$version "$work/tree/scripts/build.sh" arm >"$work/log" 2>&1 ||
	{ cat "$work/log"; bad 'build again'; }
for f in "$work"/two/safeload-*; do
	if cmp "$f" "$work/one/${f##*/}"; then
		ok "two builds of ${f##*/} are identical"
	else
		bad "two builds of ${f##*/} differ"
	fi
done

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else unshare -r "$@"; fi; }
# bare PROGRAM ARG...: runs it in an empty root (no /dev, /proc, /sys) with no open descriptor.
bare() { (exec 0<&- 1>&- 2>&-; as_root chroot "$root" "$@"); echo $?; }

for arch in arm arm64 amd64; do
	root=$work/root-$arch
	mkdir "$root"
	run=()
	case $arch in
	arm) emulator=qemu-arm-static ;;
	arm64) emulator=qemu-aarch64-static ;;
	amd64) emulator=qemu-x86_64-static ;;
	esac
	case $arch-$(uname -m) in
	amd64-x86_64 | arm64-aarch64) ;;
	*)
		path=$(command -v "$emulator") || { bad "$arch: $emulator is missing (package qemu-user-static)"; continue; }
		cp "$path" "$root/emulator"
		run=(/emulator)
		;;
	esac
	GOOS=linux GOARCH=$arch GOARM=6 CGO_ENABLED=0 go build -o "$root/plain" ./cmd/safeload-modprobe || bad "$arch: go build"
	# Without the entry stub the runtime aborts with 2: shows that the room is as bare as meant.
	check "$arch: a plain build aborts without descriptors" 2 "$(bare "${run[@]}" /plain -q -- nothing)"
	for name in safeload-modprobe safeload; do
		cp "$work/one/$name-linux-$arch" "$root/modprobe"
		check "$arch: $name as modprobe finds nothing, without descriptors" 1 "$(bare "${run[@]}" /modprobe -q -- nothing)"
		check "$arch: $name as modprobe -V, without descriptors" 0 "$(bare "${run[@]}" /modprobe -V)"
		got=$(as_root chroot "$root" "${run[@]}" /modprobe -V 2>&1 | grep "^safeload ")
		case $got in
		"safeload $version"*) ok "$arch: $name knows its version" ;;
		*) bad "$arch: $name -V says '$got', not $version" ;;
		esac
		if readelf -lW "$root/modprobe" | grep -q INTERP; then bad "$arch: $name is not static"; else ok "$arch: $name is static"; fi
		if readelf -SW "$root/modprobe" | grep -q '\.symtab'; then bad "$arch: $name is not stripped"; else ok "$arch: $name is stripped"; fi
	done
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
