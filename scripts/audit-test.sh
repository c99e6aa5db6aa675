#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `safeload audit` must find, and must not, in real module trees of Debian.
#
#   scripts/audit-test.sh            the kernels of the VM matrix
#   scripts/audit-test.sh --all      and 6.1 of arm64 and amd64
#
# Kernels, headers and sources come through apt into the cache (SAFELOAD_CACHE), which the VM rig shares.
# Ends with "N passed, N failed".
# shellcheck disable=SC1091,SC2015,SC2034,SC2154 # shares the variables of scripts/vm
set -uo pipefail
case ${1-} in
'' | --all) ;;
-h | --help) echo "usage: audit-test.sh [--all]     --all: 6.1 of arm64 and amd64 too"; exit 0 ;;
*) echo "usage: audit-test.sh [--all]" >&2; exit 2 ;;
esac
. "$(dirname "$0")/vm/lib.sh"
cd "$repo" || exit 1

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 audited=()

# check WHAT COMMAND...: one test.
check() {
	local what=$1; shift
	if "$@"; then
		passed=$((passed + 1)); echo "ok    $what"
	else
		failed=$((failed + 1)); echo "FAIL  $what"
	fi
}

# audit OUT TREE [OPTION...]: runs it, JSON to OUT, and prints what it cost. On a machine with other work it is
# the CPU time that counts.
audit() {
	local out=$1 tree=$2 TIMEFORMAT='%R s, CPU %U s + %S s'; shift 2
	{ time "$work/safeload" audit --json "$@" "$tree" >"$out"; } 2>"$work/cost"
	code=$?
	audited+=("$out")
	printf '      %s: %d modules, %s\n' "$(basename "$tree")" \
		"$(sed -n 's/.*"type":"summary".*"modules":\([0-9]*\).*/\1/p' "$out")" "$(tail -n 1 "$work/cost")"
}

# top OUT: module, rank and request of the first finding.
top() { sed -n '1s/.*"rank":"\([a-z]*\)".*"module":"\([^"]*\)".*"request":"\([^"]*\)".*/\2 \1 \3/p' "$1"; }
first_is() { [ "$(top "$1")" = "$2" ] || { echo "      the first finding is: $(top "$1")"; return 1; }; }
upper_is() { # OUT EXPECTED...: the modules in the two upper ranks
	local got; got=$(grep -E '"rank":"(certain|likely)"' "$1" | sed 's/.*"module":"\([^"]*\)","file".*/\1/' | sort -u | tr '\n' ' ')
	[ "$got" = "${2:+$2 }" ] || { echo "      in the upper ranks: $got"; return 1; }
}
names() { grep '"type":"finding"' "$1" | grep -q "\"module\":\"$2\",\"file\""; }
unnamed() { ! names "$@"; }
at_most_possible() { ! grep -E '"rank":"(certain|likely)"' "$1" | grep -q "\"module\":\"$2\",\"file\""; }
exits() { [ "$code" = "$1" ] || { echo "      exit code $code, not $1"; return 1; }; }
parameter() { grep '"rank":"parameter"' "$1" | grep -q "\"module\":\"$2\",\"file\""; }

waits_are() { # OUT EXPECTED: the kinds of waits and what each is on, a line each
	local got; got=$(sed -n 's/.*"module":"\([^"]*\)","file".*"wait":{"kind":"\([a-z]*\)","on":"\([^"]*\)".*/\1 \2 \3/p' "$1" | sort)
	[ "$got" = "$2" ] || { echo "      the waits are:"; echo "$got"; return 1; }
}

tree_of() { # KEY: kernel_get's module tree
	local t
	for t in "$kdir/lib/modules/$kver" "$kdir/usr/lib/modules/$kver"; do
		[ -d "$t/kernel" ] && { tree=$t; return 0; }
	done
	die "$kdir has no module tree"
}

# old_glue DIR KEY: aes-arm-bs of 6.1 built for a kernel, in DIR.
old_glue() {
	local deb src=$cache/audit/aes-neonbs-6.1
	if [ ! -s "$src/.complete" ]; then
		mkdir -p "$src"
		deb=$(rigkit source) || return 1
		# The archive has more behind it: what is wanted comes early.
		dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards '*/linux-source-6.1.tar.xz' 2>/dev/null | xz -dc 2>/dev/null |
			tar -x -C "$src" --strip-components=4 --occurrence=1 \
				linux-source-6.1/arch/arm/crypto/aes-neonbs-{core.S,glue.c} linux-source-6.1/arch/arm/crypto/aes-cipher.h 2>/dev/null
		[ -s "$src/aes-neonbs-glue.c" ] && [ -s "$src/aes-neonbs-core.S" ] || die "linux-source-6.1 has no aes-neonbs"
		echo ok >"$src/.complete"
	fi
	mkdir -p "$1"
	cp "$src"/aes-* "$1/"
	[ -s "$1/aes-cipher.h" ] || echo >"$1/aes-cipher.h"
	printf 'obj-m := aes-arm-bs.o\naes-arm-bs-y := aes-neonbs-core.o aes-neonbs-glue.o\n' >"$1/Kbuild"
	rigkit make "$2" "$1" >"$work/kbuild.log" 2>&1 || { tail -20 "$work/kbuild.log" >&2; die "6.1's aes-arm-bs does not build for $kver"; }
}

# waiting DIR KEY: the modules of the VM cases whose loads hang, built for a kernel, in DIR.
waiting() {
	mkdir -p "$1" && cp scripts/vm/modules/{Kbuild,sl*} "$1/" || return 1
	rigkit make "$2" "$1" >"$work/kbuild.log" 2>&1 || { tail -20 "$work/kbuild.log" >&2; return 1; }
}
hangs='sldev device platform:sldev
sldevb device platform:sldev
slhub async async functions
slhub lock slhub:slhub_lock
slhub lock slhub:slhub_reads
slhub lock slhub:slhub_writes
slhub queue queue slhub:slhub_wq'

go build -o "$work/safeload" ./cmd/safeload || die "cmd/safeload does not build"
go build -o "$work/vmtool" ./scripts/vm/tools/vmtool || die "scripts/vm/tools/vmtool does not build"
# The step unit has the other tests.
fixtures() {
	SAFELOAD_AUDIT_COMPILERS=1 go test -count=1 -v -run '^TestFixtures$' ./audit >"$work/fixtures" 2>&1 || { tail -n 20 "$work/fixtures"; return 1; }
	grep -q '^--- PASS: TestFixtures' "$work/fixtures" || { echo "      no fixture was looked at"; return 1; }
}
check "fixtures of arm, T32, arm64 and amd64 tell the same" fixtures
mkdir "$work/modprobe.d"
echo 'alias crypto-cbc(aes) aes_arm_bs' >"$work/modprobe.d/recursion.conf"

kernel_get arm-6.1 || exit 1; tree_of
audit "$work/arm61" "$tree"
check "stock arm 6.1: aes_arm_bs at most possible" at_most_possible "$work/arm61" aes_arm_bs
check "stock arm 6.1: nothing in the upper ranks" upper_is "$work/arm61" ""
check "stock arm 6.1: exit code 0" exits 0
check "stock arm 6.1: tcrypt is driven by its parameter" parameter "$work/arm61" tcrypt
audit "$work/arm61alias" "$tree" -C "$work/modprobe.d"
check "arm 6.1 with the alias: aes_arm_bs on top" first_is "$work/arm61alias" "aes_arm_bs certain crypto-cbc(aes)"
check "arm 6.1 with the alias: exit code 3" exits 3
audit "$work/again" "$tree" -C "$work/modprobe.d" --baseline "$work/arm61alias"
check "arm 6.1 with the alias: known by a baseline, exit code 0" exits 0
audit "$work/again" "$tree" -C "$work/modprobe.d" --baseline "$work/arm61"
check "arm 6.1 with the alias: new to the stock tree's baseline" exits 3

mkdir "$work/install.d"
echo "install crypto-cbc(aes) /bin/sh -c 'env -i /sbin/modprobe -q aes_arm_bs'" >"$work/install.d/recursion.conf"
audit "$work/arm61install" "$tree" -C "$work/install.d"
check "arm 6.1 with an install command that leads back: on top, likely" first_is "$work/arm61install" "aes_arm_bs likely crypto-cbc(aes)"
"$work/safeload" audit --sarif -C "$work/modprobe.d" "$tree" >"$work/sarif"
check "arm 6.1 with the alias: SARIF says the same" sh -c "grep -q '\"version\": *\"2.1.0\"' $work/sarif && grep -q 'aes_arm_bs' $work/sarif"

kernel_get arm-6.12 || exit 1; tree_of
audit "$work/arm612" "$tree"
check "stock arm 6.12: aes_arm_bs not named" unnamed "$work/arm612" aes_arm_bs
check "stock arm 6.12: nothing in the upper ranks" upper_is "$work/arm612" ""
if old_glue "$work/glue" arm-6.12; then
	mkdir "$work/old" && cp -rs "$tree" "$work/old/" && rm -f "$work/old/$kver/kernel/arch/arm/crypto/"aes-arm-bs.ko* &&
		cp "$work/glue/aes-arm-bs.ko" "$work/old/$kver/kernel/arch/arm/crypto/"
	audit "$work/arm612old" "$work/old/$kver"
	check "arm 6.12 with 6.1's aes-arm-bs: on top, by crypto-ecb(aes)" first_is "$work/arm612old" "aes_arm_bs likely crypto-ecb(aes)"
	check "arm 6.12 with 6.1's aes-arm-bs: exit code 3" exits 3
else
	check "arm 6.12 with 6.1's aes-arm-bs: built" false
fi

if waiting "$work/waiting" arm-6.12; then
	audit "$work/arm612waiting" "$work/waiting"
	check "arm 6.12: what the cases of locks, queues, async functions and devices hang on, and no more" waits_are "$work/arm612waiting" "$hangs"
else
	check "arm 6.12: the modules of those cases are built" false
fi

for key in arm64-6.12 amd64-6.12; do
	kernel_get "$key" || exit 1; tree_of
	audit "$work/$key" "$tree"
	check "stock $key: nothing in the upper ranks" upper_is "$work/$key" ""
done
if [ "${1:-}" = --all ]; then
	for arch in arm64 amd64; do
		kernel_get "$arch-6.1" || exit 1; tree_of
		audit "$work/$arch-6.1" "$tree"
		check "stock $arch-6.1: nothing in the upper ranks" upper_is "$work/$arch-6.1" ""
	done
fi

by_schema() { local f; for f; do "$work/vmtool" jsonl audit "$f" >/dev/null || return 1; done; }
check "every line of all that was written is as the schema says" by_schema "${audited[@]}"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
