# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What scripts take of the rig, which is Go (internal/rig): its cache, kernels, packages. To be sourced.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${SAFELOAD_CACHE:-$repo/.cache}
mkdir -p "$cache/locks" "$cache/log"

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# locked NAME COMMAND...: one at a time on this machine, for whatever changes the cache.
locked() {
	local name=$1; shift
	(
		exec 8>"$cache/locks/$name" || exit 1
		flock 8 || exit 1
		"$@"
	)
}

# rigkit ARGUMENT...: scripts/rigkit says what there is.
rigkit() (cd "$repo" && GOOS='' GOARCH='' SAFELOAD_REPO=$repo SAFELOAD_CACHE=$cache go run ./scripts/rigkit "$@")

# kernel_get KEY: sets kver (version), kdir (unpacked packages), kimage, deb_arch and go_arch.
# shellcheck disable=SC2034 # the caller's
kernel_get() {
	local said
	kver='' kdir='' kimage='' deb_arch='' go_arch=''
	said=$(rigkit kernel "$1") && eval "$said"
}

# kmod_newer: sets kmod_root, a directory with the newest released kmod and the libraries that it needs, none of it
# installed; or returns 1 and sets kmod_missing, why there is none.
# shellcheck disable=SC2034 # the caller's
kmod_newer() {
	kmod_missing=''
	kmod_root=$(rigkit kmod) && return 0
	kmod_missing="the mirrors of this machine's apt sources do not give it"
	return 1
}
