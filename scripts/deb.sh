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

# What comes before a release sorts before it, and by the time of its commit.
case $version in
*-dev.*) version=${version%%-dev.*}~dev$(date -u -d "@$epoch" +%Y%m%d.%H%M%S).${version#*-dev.} ;;
esac
version=$(printf %s "$version" | tr -- -_ +. | tr -cd 'A-Za-z0-9.+~')

# Debian's policy (5.6.2) wants an address that takes mail, of people or of a list. There is none of the project's own
# yet: the default is the form that Debian gives teams, which can be nobody's own. Who distributes packages names himself.
PKG_MAINTAINER=${SAFELOAD_MAINTAINER:-safeload maintainers <team+safeload@tracker.debian.org>}

PKG_VERSION=$version
PKG_STAGE=$(mktemp -d)
trap 'rm -rf "$PKG_STAGE"' EXIT
export PKG_VERSION PKG_STAGE PKG_MAINTAINER

# nfpm has its own module: what it needs is not what safeload needs.
. scripts/go.sh
(cd scripts/tools && GOFLAGS=$go_flags go_build -o "$PKG_STAGE/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm)

for page in man/*.[58]; do
	gzip -9nc "$page" >"$PKG_STAGE/${page#man/}.gz"
done
printf 'safeload (%s) unstable; urgency=medium\n\n  * See the log of the repository.\n\n -- %s  %s\n' \
	"$version" "$PKG_MAINTAINER" "$(date -u -R -d "@$epoch")" | gzip -9n >"$PKG_STAGE/changelog.gz"

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
	for package in safeload safeload-kmod; do
		out=$dist/${package}_${version}_$PKG_ARCH.deb
		"$PKG_STAGE/nfpm" package --config "packaging/nfpm${package#safeload}.yaml" --packager deb --target "$out" >"$PKG_STAGE/log" ||
			{ cat "$PKG_STAGE/log" >&2; exit 1; }
		echo "$out"
	done
done
