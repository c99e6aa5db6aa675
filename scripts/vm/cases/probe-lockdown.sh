# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a kernel in lockdown lets nobody read it: the watch says so, samples /proc, and breaks what hangs since before
# kernels: all
# matrix: arm-6.1 arm64-6.12
# off-target: the kernel stays locked down until a reboot
# signed: yes
# boot: lockdown
# limit: 240
# copies: l0
setup() { echo "options slreq_l0 req=slreq_l0" | conf probe-lockdown; }

control() {
	start lockdown /stock/modprobe slreq_l0
	must_hang lockdown slreq_l0
}

# The module is "coming" before its request is even made; the lockdown would refuse the inner load.
inner_waits() {
	for _p in $(pidof modprobe); do grep -qE 'finit_module|idempotent_init_module|load_module' "/proc/$_p/wchan" && return; done
	return 1
}

check() {
	helper /stock/modprobe
	mount -t securityfs securityfs /sys/kernel/security
	# Before the lockdown: the module is not signed.
	start lockdown /stock/modprobe slreq_l0
	want "it hangs" wait_for 60 is slreq_l0 coming
	want "the inner load waits" wait_for 60 inner_waits
	echo confidentiality >/sys/kernel/security/lockdown
	want "the kernel is locked down" has /sys/kernel/security/lockdown '\[confidentiality\]'
	want "the watch starts" watch_begin --break
	log "$(head -1 "$watched")"
	want "it says that BPF may not" has "$watched" '"unavailable":\["bpf: [^"]*locked down'
	want "it says that tracefs may not" has "$watched" '"unavailable":\[.*"tracefs: [^"]*lockdown'
	want "it samples" has "$watched" '"source":"proc"'
	finish lockdown 60
	want "modprobe ends with 0" [ "$rc" = 0 ]
	want "the module is live" is slreq_l0 live
	sees finding '"certainty":"proven"'
	want "one finding, proven" [ "$(seen finding '"certainty":"proven"')" = 1 ]
	watch_end
	want "every line is as the schema says" /t/vmtool jsonl watch "$watched"
	for _s in bpf tracefs; do
		start "only-$_s" /safe/safeload watch --source $_s
		finish "only-$_s" 60
		want "$_s alone: ends with 1" [ "$rc" = 1 ]
		log "$(cat "$out")"
		want "$_s alone: says why" has "$out" 'lock\(ed \)*down'
	done
}
