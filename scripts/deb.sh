#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes Debian packages of binaries that build.sh has put into dist/. Called by
# build.sh --deb.
#   deb.sh DIST VERSION ARCH...
# Two runs on one commit give the same bytes: all times are the commit's (or
# SOURCE_DATE_EPOCH), and compression is nfpm's own, not the machine's.
set -eu

cd "$(dirname "$0")/.."
dist=$1 version=$2
shift 2

epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH=$epoch

# Debian's versions begin with a digit. A tag v1.2.3 and commits after it give
# 1.2.3 and 1.2.3+5.gabc; a commit without a tag sorts by its time, before all
# releases.
case $version in
v[0-9]*) version=${version#v} ;;
[0-9]*.*) ;;
*) version=0~git$(date -u -d "@$epoch" +%Y%m%d.%H%M%S).$version ;;
esac
version=$(printf %s "$version" | tr -- -_ +. | tr -cd 'A-Za-z0-9.+~')

PKG_VERSION=$version
PKG_STAGE=$(mktemp -d)
trap 'rm -rf "$PKG_STAGE"' EXIT
export PKG_VERSION PKG_STAGE

# nfpm has its own module: what it needs is not what safeload needs.
(cd scripts/tools && CGO_ENABLED=0 GOFLAGS=-trimpath \
	go build -o "$PKG_STAGE/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm)

for page in man/*.[58]; do
	gzip -9nc "$page" >"$PKG_STAGE/${page#man/}.gz"
done
printf 'safeload (%s) unstable; urgency=medium\n\n  * See the log of the repository.\n\n -- safeload maintainers <safeload@localhost>  %s\n' \
	"$version" "$(date -u -R -d "@$epoch")" | gzip -9n >"$PKG_STAGE/changelog.gz"

for arch; do
	# GOARM=6 programs use the VFP of ARMv6 and no library: they run on
	# Debian armhf and on Raspberry Pi OS for the first Pi, not on armel's ARMv5.
	case $arch in
	arm) PKG_ARCH=armhf ;;
	*) PKG_ARCH=$arch ;;
	esac
	PKG_BIN=$dist/safeload-linux-$arch
	PKG_HELPER=$dist/safeload-modprobe-linux-$arch
	export PKG_ARCH PKG_BIN PKG_HELPER
	out=$dist/safeload_${version}_$PKG_ARCH.deb
	"$PKG_STAGE/nfpm" package --config packaging/nfpm.yaml --packager deb --target "$out" >"$PKG_STAGE/log" ||
		{ cat "$PKG_STAGE/log" >&2; exit 1; }
	echo "$out"
done
