#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Its parts in scripts/vm share its variables:
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2034,SC2154,SC2015
# Runs safeload in virtual machines with real kernels, beside the stock kmod. See CONTRIBUTING.md.
set -u

usage() {
	cat <<-'USAGE'
		usage: vm-test.sh [OPTION...]          run every case on every kernel
		       vm-test.sh demo                 the story in two boots of one 32-bit ARM machine
		       vm-test.sh --list               the cases and the kernels

		  --arch ARCH            only kernels of this architecture (arm, arm64, amd64)
		  --kernel SERIES        only kernels of this series (6.12, 6.1, newest)
		  --case NAME[,NAME...]  only these cases
		  --kernel-image FILE    a kernel of your own (needs --arch) ...
		  --modules DIR          ... and its modules: the directory that holds lib/modules/VERSION
		  --headers DIR          its build tree, for cases that need our test modules
		  --seed-kernel          instead of all this: a 32-bit ARM kernel with the wait of 6.5 to 6.10, which
		                         no signal ends, built from Debian's linux-source and kept in the cache
		  --shell                a prompt in the guest instead of the cases, or what is piped in
		  --dist DIR             take the binaries from there instead of building them
		  --json FILE            also write the report there, one JSON object a line
		  --keep DIR             keep the guests' logs there
		  --quick                only the cases marked quick
		  --full                 all cases on all kernels; storms, kills and crossing tasks at full scale (much longer)
		  -h, --help             this text

		Exit status: 0 all passed, 1 something failed, 2 usage. The last line reads "N passed, N failed".
		Environment: SAFELOAD_CACHE (where downloads are kept; default .cache in the repository).
	USAGE
}

. "$(dirname "$0")/vm/lib.sh"
. "$vm_dir/fetch.sh"
. "$vm_dir/kernel.sh"
. "$vm_dir/image.sh"
. "$vm_dir/boot.sh"
. "$vm_dir/extra.sh"
. "$vm_dir/report.sh"
. "$vm_dir/seed.sh"

arch='' want_series='' only='' own_image='' own_modules='' own_headers='' shell='' dist='' json='' keep='' quick='' full='' list='' demo='' seed=''
need() { [ $# -ge 2 ] || { usage >&2; exit 2; }; }
while [ $# -gt 0 ]; do
	case $1 in
	--arch) need "$@"; arch=$2; shift ;;
	--kernel) need "$@"; want_series=$2; shift ;;
	--case) need "$@"; only=$2; shift ;;
	--kernel-image) need "$@"; own_image=$(realpath "$2") || exit 2; shift ;;
	--modules) need "$@"; own_modules=$(realpath "$2") || exit 2; shift ;;
	--headers) need "$@"; own_headers=$(realpath "$2") || exit 2; shift ;;
	--dist) need "$@"; dist=$(realpath "$2") || exit 2; shift ;;
	--json) need "$@"; json=$2; shift ;;
	--keep) need "$@"; keep=$2; shift ;;
	--shell) shell=yes ;;
	--quick) quick=yes ;;
	--full) full=full ;;
	--list) list=yes ;;
	--seed-kernel) seed=yes ;;
	demo) demo=yes ;;
	-h | --help) usage; exit 0 ;;
	*) say "vm-test: $1: unknown argument"; usage >&2; exit 2 ;;
	esac
	shift
done

[ -z "$list" ] || { list_all; exit 0; }
check_tools

work=$(mktemp -d "${TMPDIR:-/tmp}/safeload-vm.XXXXXX") || exit 1
# Only what was started here is ended, by its pid.
trap 'for p in $(jobs -p); do kill "$p" 2>/dev/null; done; save_logs; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

[ -z "$seed" ] || { seed_get || exit 1; only=${only:-probe-hard}; }
select_kernels || exit 2
[ -z "$demo" ] || { . "$vm_dir/demo.sh"; demo_run; exit; }
select_cases || exit 2

wanted=("${keys[@]}") keys=()
for key in "${wanted[@]}"; do
	[ -n "$own_image" ] || offered "$key" || continue
	keys+=("$key")
	prepare "$key" || exit 1
done
[ -z "$shell" ] || { prompt "${keys[0]}"; exit; }

for key in "${keys[@]}"; do
	for group in $(groups_of "$key"); do
		for mode in stock safe; do
			mapfile -t files < <(cases_of "$key" "$group" "$mode")
			[ ${#files[@]} -gt 0 ] || continue
			while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
			( trap - EXIT; prepare "$key" && boot "$group" "$mode" "${files[@]}" ) &
		done
	done
done
wait
report
