# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every part of the VM rig shares: where things are, messages, locks, the table of kernels.

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$vm_dir/../.." && pwd)
cache=${SAFELOAD_CACHE:-$repo/.cache}
mkdir -p "$cache/locks" "$cache/log"

say() { printf '%s\n' "$*" >&2; }
die() { say "vm-test: $*"; exit 1; }

# locked NAME COMMAND...: one at a time on this machine, for whatever changes the cache.
locked() {
	local name=$1; shift
	(
		exec 8>"$cache/locks/$name" || exit 1
		flock 8 || exit 1
		"$@"
	)
}

# The kernels of the matrix, one a line: key, Debian architecture, Go architecture, series, flavour, and for one
# that the machine's own suites do not carry, the suite of the same mirrors that does. The series "newest" is
# whatever is newest there, and so is "trixie" in trixie itself; on the latter a run of the whole matrix has the cases
# marked quick. To add one, add a line; internal/rig/machine.go says how QEMU runs an architecture.
kernels_table() {
	cat <<-'TABLE'
		arm-6.12      armhf  arm    6.12    armmp
		arm-6.1       armhf  arm    6.1     armmp
		arm64-6.12    arm64  arm64  6.12    arm64
		amd64-6.12    amd64  amd64  6.12    amd64
		arm-newest    armhf  arm    newest  armmp  trixie-backports
		arm64-newest  arm64  arm64  newest  arm64  trixie-backports
		amd64-newest  amd64  amd64  newest  amd64  trixie-backports
		arm-trixie    armhf  arm    trixie  armmp  trixie
	TABLE
}

# kernel_fields KEY: sets deb_arch, go_arch, series, flavour, suite (@NAME or empty).
kernel_fields() {
	local key
	while read -r key deb_arch go_arch series flavour suite; do
		suite=${suite:+@$suite}
		[ "$key" = "$1" ] && return 0
	done < <(kernels_table)
	die "no kernel $1 (known: $(kernels_table | awk '{printf "%s ", $1}'))"
}

# cross_ARCH: the C compiler prefix and the kernel's name for a Go architecture.
cross_arm() { karch=arm cross=arm-linux-gnueabihf-; }
cross_arm64() { karch=arm64 cross=aarch64-linux-gnu-; }
cross_amd64() { karch=x86 cross=x86_64-linux-gnu-; }
