# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the real incident with the probe in the kernel and no process: refused within a second
# kernels: arm-*
# matrix: arm-6.12 arm-6.1
# boot: probe-incident
# helper: none
# limit: 300
# modules: aes_arm_bs aes_arm crypto_user algif_skcipher
# extra: incident
#
# That kmod hangs on it is what the case incident shows.
setup() { incident_setup; }

check() {
	run 240 /safe/safeload probe load --json --patience 60s
	want "the probe is in the kernel, whole" has "$out" '"ready":true,.*"whole":true'
	want "no process stays" not pidof safeload
	# The kernel's own measure, by its ring buffer: from the request to the return of who asked.
	_tracing=/sys/kernel/tracing
	echo 'r:probe_incident call_usermodehelper_exec' >$_tracing/kprobe_events
	echo 1 >$_tracing/events/kprobes/probe_incident/enable
	echo 1 >$_tracing/events/module/module_request/enable
	incident_check 1500
	echo 0 >$_tracing/events/enable
	sed 's/ *\([^ ]*\) .* \([0-9]*\)\.\([0-9]*\): \(.*\)/\1 \2\3 \4/' $_tracing/trace >/tmp/requests
	echo >$_tracing/kprobe_events
	case $kver in 6.1.*) _name='crypto-cbc(aes)' ;; *) _name='crypto-ecb(aes)' ;; esac
	_us=$(awk -v want=" $_name wait=" '
		/ module_request: / { asks[$1] = index($0, want) > 0; since[$1] = $2 }
		/ probe_incident: / { if (asks[$1] && $2 - since[$1] > most) most = $2 - since[$1]; asks[$1] = 0 }
		END { print most }' /tmp/requests)
	log "probe-incident: the request of $_name took ${_us:-no} us"
	want "the request that comes back is refused within a second" [ "${_us:-9999999}" -le 1000000 ]
	run 60 /safe/safeload probe unload
	want "the probe is out of the kernel" [ -z "$(ls /sys/fs/bpf/safeload)" ]
}
