# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload.conf: the policies observe, proven and off, patience, exempt; each does what it says, and no more
# kernels: all
# matrix: arm-6.12 amd64-6.12 *-own
# boot: settings
# cpus: 2
# limit: 200
# copies: j0 j1
#
# slreq_j0 asks for itself, which /proc proves; slreq_j1 by a kernel thread, which is only suspected.
setup() { { echo "options slreq_j0 req=slreq_j0"; echo "options slreq_j1 req=slreq_j1 via=kthread"; } | conf policy; }

control() {
	start policy-proven /stock/modprobe slreq_j0
	start policy-suspected /stock/modprobe slreq_j1
	must_hang policy-proven slreq_j0
	must_hang policy-suspected slreq_j1
}

# settings LINE...: all that safeload.conf says.
settings() { mkdir -p /etc/safeload.d; printf '%s\n' "$@" >/etc/safeload.d/policy.conf; }
try() { kmsg_mark; start "policy-$1" /safe/modprobe "$1"; }
said() { has "$(kmsg)" "$1"; }
# stuck NAME MODULE: diagnose finds that it hangs, as the policy has it, and frees it.
stuck() {
	diagnose_until 40 ends_with 3
	want "$1: the load hangs" [ "$rc" = 3 ]
	want "$1: nothing was refused" [ "$(grep -c 'safeload: refused' "$(kmsg)")" = "${3:-0}" ]
	run 40 /safe/safeload diagnose --free
	sed "s/^/#L# policy: $1: /" "$out"
	want "$1: diagnose frees it" has "$out" "^free: ended"
	finish "policy-$2" 30
	want "$1: its load ends" [ "$rc" = 0 ]
	unload "$2"
}
refused() { # NAME MODULE TEXT
	finish "policy-$2" 40
	want "$1: the load ends with 0" [ "$rc" = 0 ]
	want "$1: one refusal, $3" count "$(kmsg)" "safeload: refused $2 (request $2): $3" 1
	log "policy: $1: took $(seconds "$took") s"
	unload "$2"
}

check() {
	settings "policy observe"
	try slreq_j0
	wait_for 20 said "policy observe"
	want "observe: says what it would have refused" said "safeload: policy observe, loading all the same: safeload: refused slreq_j0"
	dmesg -c >/dev/null; kmsg_mark
	stuck observe slreq_j0

	settings "policy proven"
	try slreq_j0
	refused proven slreq_j0 "pid"
	try slreq_j1
	stuck "proven, of a suspicion" slreq_j1

	settings "patience 0"
	try slreq_j1
	stuck "patience 0" slreq_j1

	settings "patience 2s"
	try slreq_j1
	refused "patience 2s" slreq_j1 suspected

	settings "exempt slreq-j0"
	try slreq_j0
	stuck exempt slreq_j0
	try slreq_j1
	refused "exempt, of another" slreq_j1 suspected

	settings "policy off"
	try slreq_j0
	stuck off slreq_j0

	# What is not understood is passed over, with a word, and what is not root's is not read.
	settings "policy nonsense"
	try slreq_j0
	refused nonsense slreq_j0 "pid"
	want "nonsense: says so" said "safeload: .*policy.conf.*nonsense"
	settings "policy off"; chmod 666 /etc/safeload.d/policy.conf
	try slreq_j0
	refused "a file that others can write" slreq_j0 "pid"

	rm -r /etc/safeload.d
	try slreq_j0
	refused "no settings" slreq_j0 "pid"
}
