# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The limit of guests on one machine, for scripts that boot one of their own; internal/rig has the same.

# slot_take: as many guests at once on this machine as it has cores, whoever starts them. Sets slot_fd,
# which the guest's life ends with.
slot_take() {
	local dir=${SAFELOAD_SLOTS:-/var/lock/safeload-vm} i n
	mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ] || { dir=$cache/locks; }
	n=$(nproc)
	while :; do
		for ((i = 0; i < n; i++)); do
			exec {slot_fd}>"$dir/slot$i"
			flock -n "$slot_fd" && return 0
			exec {slot_fd}>&-
		done
		sleep 1
	done
}
