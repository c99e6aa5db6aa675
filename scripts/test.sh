#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test there is, or the named steps: sees that the machine has what they need (scripts/setup.sh), builds the
# gate (scripts/gate) and starts it. See --help and CONTRIBUTING.md.
set -u
SAFELOAD_REPO=$(cd "$(dirname "$0")/.." && pwd) || exit 1
export SAFELOAD_REPO
caller=$PWD
cd "$SAFELOAD_REPO" || exit 1
. scripts/setup.sh
install=yes quick='' nothing='' groups=() args=()
while [ $# -gt 0 ]; do
	case $1 in
	--no-install) install=no; shift; continue ;;
	--quick) quick=yes ;;
	--json | --junit) [ $# -lt 2 ] || { args+=("$1"); shift; } ;;
	-*) nothing=yes ;; # --list, --help or a mistake
	*) groups+=("$1") ;;
	esac
	args+=("$1")
	shift
done
steps=(format modules vet lint vuln shell man generate unit build diff audit package vm)
[ ${#groups[@]} -gt 0 ] || groups=("${steps[@]}")
# A step that does not exist is the gate's to refuse.
for group in "${groups[@]}"; do
	case " ${steps[*]} " in *" $group "*) ;; *) nothing=yes ;; esac
done
[ -z "$quick" ] || groups=(quick)
[ -z "$nothing" ] || groups=()
# A whole run compiles nearly everything for three architectures; what does not compile its steps tell.
case " ${groups[*]} " in *" vm "*)
	meanwhile() {
		go_build ./...
		for arch in arm arm64; do GOARCH=$arch GOARM=6 go_build ./...; done
	}
	;;
esac
setup test "$install" "${groups[@]}" || exit 1
gate=$(mktemp "${TMPDIR:-/tmp}/safeload-gate.XXXXXX") || exit 1
go_build -o "$gate" ./scripts/gate || { rm -f "$gate"; exit 1; }
cd "$caller" || exit 1
# The program is open, and needs no name any more.
exec 9<"$gate"
rm -f "$gate"
exec -a gate /proc/self/fd/9 "${args[@]}"
