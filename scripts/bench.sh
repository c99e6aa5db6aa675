#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# CPU time of safeload-modprobe beside kmod and an empty Go program, in turns.
set -eu

usage() {
	cat <<-'USAGE'
		usage: bench.sh [--tree DIR] [--kmod NAME=PATH]... [-- bench options, such as -runs N or -json]
		  --tree DIR        a module tree with depmod's files (…/lib/modules/VERSION); default: the running
		                    kernel's, or else one of those that scripts/diff-test.sh has made
		  --kmod NAME=PATH  another kmod besides the installed one
		Environment: SAFELOAD_CACHE (default .cache)
	USAGE
}

cd "$(dirname "$0")/.."
cache=${SAFELOAD_CACHE:-$PWD/.cache}
tree='' peers=() args=()
while [ $# -gt 0 ]; do
	case $1 in
	--tree) tree=$2; shift 2 ;;
	--kmod) peers+=("$2"); shift 2 ;;
	--) shift; args=("$@"); break ;;
	-h | --help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
if [ -z "$tree" ]; then
	for t in "/lib/modules/$(uname -r)" "$cache"/trees/*/*/lib/modules/*; do
		[ -e "$t/modules.dep.bin" ] && tree=$t && break
	done
fi
[ -n "$tree" ] || { echo "bench: no module tree; name one with --tree, or run scripts/diff-test.sh first" >&2; exit 1; }
kmod=$(readlink -f /sbin/modprobe 2>/dev/null || true)
case $kmod in
*/kmod) ;;
*) echo "bench: /sbin/modprobe is not kmod's; install the package kmod" >&2; exit 1 ;;
esac
peers=("kmod $("$kmod" --version | awk 'NR == 1 {print $3}')=$kmod" "${peers[@]+"${peers[@]}"}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
arch=$(go env GOHOSTARCH)
SAFELOAD_DIST=$work/dist scripts/build.sh "$arch" >/dev/null
mkdir "$work/empty"
printf 'package main\n\nfunc main() {}\n' >"$work/empty/main.go"
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$work/empty/empty" "$work/empty/main.go"
go build -o "$work/bench" ./scripts/bench
"$work/bench" -tree "$(readlink -f "$tree")" -ours "$work/dist/safeload-modprobe-linux-$arch" -empty "$work/empty/empty" \
	"${args[@]+"${args[@]}"}" "${peers[@]}"
