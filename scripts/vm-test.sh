#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs safeload in virtual machines with real kernels, beside the stock kmod: sees that the machine has what this needs
# (scripts/setup.sh), builds the rig (scripts/vmrig) and starts it. See --help and scripts/vm/README.md.
set -u
caller=$PWD
SAFELOAD_REPO=$(cd "$(dirname "$0")/.." && pwd) || exit 1
export SAFELOAD_REPO
cd "$SAFELOAD_REPO" || exit 1
. scripts/setup.sh
install=yes guests=vm groups=() args=() before='' list='' target=''
for arg; do
	case $before$arg in
	--arch=arm | --arch=arm64 | --arch=amd64) guests=vm-$arg ;;
	--no-install) install=no; continue ;;
	demo) groups+=(demo) ;;
	--machine=virt64) guests=vm-arm64 ;;
	--machine=q35) guests=vm-amd64 ;;
	--machine) [ "$guests" != vm ] || guests=vm-arm ;; # all other machines
	--seed-kernel) guests=vm-arm groups+=(vm-arm seed) ;;
	--target | --bundle) target=yes ;;
	-h | --help | --list | --read) list=yes ;;
	esac
	before='' args+=("$arg")
	case $arg in --arch | --machine) before=$arg= ;; esac
done
# The demo's machine is 32-bit ARM's; of the others it needs what their guests do.
case ${groups[*]-}$guests in demovm | demovm-arm) ;; *) groups+=("$guests") ;; esac
[ -z "$target" ] || groups=(target)
[ -z "$list" ] || groups=()
setup vm-test "$install" "${groups[@]}" || exit 1
rig=$(mktemp "${TMPDIR:-/tmp}/safeload-rig.XXXXXX") || exit 1
go_build -o "$rig" ./scripts/vmrig || { rm -f "$rig"; exit 1; }
cd "$caller" || exit 1
# The program is open, and needs no name any more.
exec 9<"$rig"
rm -f "$rig"
exec -a vmrig /proc/self/fd/9 "${args[@]}"
