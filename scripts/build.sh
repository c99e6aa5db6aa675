#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds static, stripped and reproducible binaries into dist/.
set -eu

usage() {
	cat <<-'USAGE'
		usage: build.sh [--deb] [arm|arm64|amd64]...     all three if none is named
		Writes dist/safeload-linux-ARCH and dist/safeload-modprobe-linux-ARCH;
		with --deb also Debian packages (arm: for armhf, from ARMv6 with VFP on).
		dist/SHA256SUMS has the checksums of all that is there then.
		Environment: SAFELOAD_DIST (instead of dist), SAFELOAD_VERSION (instead of scripts/version.sh),
		SAFELOAD_MAINTAINER (of the packages: "Name <address>"),
		SAFELOAD_ENTRY=entry.startHelper (a helper that always starts Go's runtime; see internal/nowhere),
		SAFELOAD_SPARE=no (a helper whose runtime takes all signals; see internal/entry/signals.go).
	USAGE
}

cd "$(dirname "$0")/.."
archs=() deb=
for arg; do
	case $arg in
	--deb) deb=yes ;;
	arm | arm64 | amd64) archs+=("$arg") ;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
[ ${#archs[@]} -gt 0 ] || archs=(arm arm64 amd64)

dist=${SAFELOAD_DIST:-dist}
mkdir -p "$dist"
dist=$(cd "$dist" && pwd)
version=${SAFELOAD_VERSION:-$(scripts/version.sh)}

# The helper has the decompressor in it, as a constant. An overlay puts the file
# into its package without writing to the source tree, so that two builds at
# once do not meet.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

. scripts/go.sh
go_experiment
export GOFLAGS="$go_flags -buildvcs=false"
(unset GOOS GOARCH && go_build -o "$work/wholepage" ./scripts/wholepage)
export GOOS=linux GOARM=6
build() { # package, output, entry, more flags...
	local package=$1 output=$2 entry=$3
	shift 3
	go_build -ldflags "-s -w -buildid= $linker -E safeload/internal/$entry -X safeload/internal/version.Version=$version" \
		-o "$output" "$@" "./cmd/$package"
}
constant() { # file: Go source with what is in it
	printf '//go:build safeload_embed\n\npackage main\n\nconst program = "'
	od -An -v -tx1 "$1" | sed 's/ /\\x/g' | tr -d '\n'
	printf '"\n'
}
# What the helper's entry spares the runtime touches a variable of it (internal/entry/signals.go).
helper_tags=safeload_embed,safeload_spare helper_linker=-checklinkname=0
[ "${SAFELOAD_SPARE-yes}" != no ] || helper_tags=safeload_embed helper_linker=
for arch in "${archs[@]}"; do
	export GOARCH=$arch
	linker=''
	build safeload-unpack "$work/safeload-unpack-$arch" entry.start
	constant "$work/safeload-unpack-$arch" >"$work/program-$arch.go"
	overlay=$work/overlay-$arch.json
	printf '{"Replace": {"%s/cmd/safeload-modprobe/program.go": "%s"}}\n' "$PWD" "$work/program-$arch.go" >"$overlay"
	linker=$helper_linker build safeload-modprobe "$dist/safeload-modprobe-linux-$arch" "${SAFELOAD_ENTRY:-nowhere.start}" -tags "$helper_tags" -overlay "$overlay"
	"$work/wholepage" "$dist/safeload-modprobe-linux-$arch" || true # a page fault more at each start, and no other harm
	build safeload "$dist/safeload-linux-$arch" entry.start
	(cd "$dist" && ls -sh "safeload-modprobe-linux-$arch" "safeload-linux-$arch")
done
if [ -n "$deb" ]; then
	unset GOOS GOARCH GOARM GOFLAGS
	scripts/deb.sh "$dist" "$version" "${archs[@]}"
fi
(cd "$dist" && sha256sum safeload[-_]*) >"$work/SHA256SUMS" # 64 digits, two blanks, a name: sha256sum -c reads it
mv "$work/SHA256SUMS" "$dist/"
