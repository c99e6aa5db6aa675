# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the real incident with the probe running: over within a second
# kernels: arm-*
# boot: probe-incident
# helper: none
# limit: 300
# modules: aes_arm_bs aes_arm crypto_user algif_skcipher
# extra: incident
#
# That kmod hangs on it is what the case incident shows.
setup() { incident_setup; }

check() {
	want "the watch starts" watch_begin -v
	want "its maps are pinned" [ -n "$(ls /sys/fs/bpf/safeload)" ]
	incident_check 1500
	watch_end
	grep '"type":"request"' "$watched" | sed 's/^/#L# probe-incident: /'
}
