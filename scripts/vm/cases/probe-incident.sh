# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the real incident with the probe running: over within a second
# kernels: arm-*
# matrix: arm-6.12
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
	# The kernel's own measure: from the request to the end of the helper that was refused.
	case $kver in 6.1.*) _name='crypto-cbc(aes)' ;; *) _name='crypto-ecb(aes)' ;; esac
	_us=$(grep '"type":"request"' "$watched" | grep -F "\"$_name\"" | grep -o '"took_us":[0-9]*' | cut -d: -f2 | sort -n | tail -1)
	log "probe-incident: the request of $_name took ${_us:-no} us"
	want "the request that comes back is refused within a second" [ "${_us:-9999999}" -le 1000000 ]
}
