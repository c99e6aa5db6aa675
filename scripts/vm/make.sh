#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Used by the rig (internal/rig): fetches kernels and puts guests' roots together.
#   make.sh kernels                          the table
#   make.sh offered KEY                      exit status: whether the mirrors have it
#   make.sh prepare KEY                      everything that a boot needs; prints release, image, directory of the packages
#   make.sh root KEY DIR MODE CASE-FILE...   a root in DIR/root
# In the environment: work, a directory of one run; dist, own_image, own_modules, own_headers, arch as vm-test.sh has them;
# seed_kernel, if it is to be that one; without_testmods, if no case asks for our test modules, which take a compiler.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2034,SC2154,SC2015
set -u

. "$(dirname "$0")/lib.sh"
. "$vm_dir/fetch.sh"
. "$vm_dir/kernel.sh"
. "$vm_dir/image.sh"
. "$vm_dir/extra.sh"
. "$vm_dir/seed.sh"

: "${arch:=}" "${own_image:=}" "${own_modules:=}" "${own_headers:=}" "${dist:=}" "${work:=}" "${without_testmods:=}"
[ -z "${seed_kernel:-}" ] || seed_get || exit 1

case $1 in
kernels) kernels_table ;;
offered) (kernel_get "$2") ;;
prepare)
	{ prepare "$2" || exit 1; } >&2
	printf '%s\n' "$kver" "$kimage" "$kdir"
	;;
root)
	key=$2 dir=$3 mode=$4
	shift 4
	prepare "$key" && image_make "$dir" "$@"
	;;
*) exit 2 ;;
esac
