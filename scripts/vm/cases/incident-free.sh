# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the real incident under kmod, aes-arm-bs hanging: safeload diagnose names it, --free ends it before the kernel gives the algorithm up
# kernels: arm-*
# boot: incident-free
# helper: none
# limit: 100
# modules: aes_arm_bs aes_arm crypto_user algif_skcipher
# extra: incident
#
# That kmod hangs here for good is the control of the case incident.
setup() { incident_setup; }

check() {
	helper /stock/modprobe
	want "nothing is loaded yet" is aes_arm_bs absent
	start incident /stock/modprobe aes_arm_bs
	diagnose_until 40 ends_with 3
	sed 's/^/#L# incident-free: /' "$out"
	want "found: the load of aes_arm_bs" has "$out" "^FOUND (likely): the load of aes_arm_bs waits for itself"
	want "by a thread of the crypto core" has "$out" "kernel thread [0-9]* cryptomgr_"
	want "a known case" has "$out" "known case: .*cb5b81bc9a44"
	run 20 /safe/safeload diagnose --free
	want "--free says what it ended" has "$out" "^free: ended pid [0-9]*"
	finish incident 30
	log "incident-free: modprobe took $(seconds "$took") s"
	want "modprobe ends with 0" [ "$rc" = 0 ]
	want "the module is live" is aes_arm_bs live
	want "cbc-aes-neonbs passed its self-test" [ "$(crypto cbc-aes-neonbs selftest)" = passed ]
	want "an encryption through it gives the published answer" /t/vmtool algkat cbc-aes-neonbs
	helper /safe/modprobe
}
