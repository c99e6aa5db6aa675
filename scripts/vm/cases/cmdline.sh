# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload.* on the kernel's command line: policy, patience and exempt, each against a file that says otherwise
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: cmdline
# limit: 150
# append: safeload.policy=refuse safeload.patience=2s safeload.exempt=slreq-k2,slreq_k3
# copies: k0 k1 k2 k3
#
# k2 is as k0 and k3 as k1, but exempt: that they hang is what shows that the others would.
setup() {
	{
		echo "options slreq_k0 req=slreq_k0"
		echo "options slreq_k1 req=slreq_k1 via=kthread"
		echo "options slreq_k2 req=slreq_k2"
		echo "options slreq_k3 req=slreq_k3 via=kthread"
	} | conf cmdline
	mkdir -p /etc/safeload.d
	printf '%s\n' "policy off" "patience 0" >/etc/safeload.d/cmdline.conf
}

refused() { # MODULE TEXT
	kmsg_mark
	start "cmdline-$1" /safe/modprobe "slreq_$1"
	finish "cmdline-$1" 40
	log "cmdline: $1: took $(seconds "$took") s"
	want "$1: the load ends with 0" [ "$rc" = 0 ]
	want "$1: refused, $2" count "$(kmsg)" "safeload: refused slreq_$1 (request slreq_$1): $2" 1
	unload "slreq_$1"
}
freed() { # MODULE
	kmsg_mark
	start "cmdline-$1" /safe/modprobe "slreq_$1"
	diagnose_until 40 ends_with 3
	want "$1 is exempt: it hangs" [ "$rc" = 3 ]
	want "$1: nothing was refused" lacks "$(kmsg)" "safeload: refused"
	run 40 /safe/safeload diagnose --free
	want "$1: diagnose frees it" has "$out" "^free: ended"
	finish "cmdline-$1" 30
	want "$1: its load ends" [ "$rc" = 0 ]
	unload "slreq_$1"
}

check() {
	want "the words are there" has /proc/cmdline "safeload.policy=refuse safeload.patience=2s safeload.exempt=slreq-k2,slreq_k3"
	refused k0 pid
	refused k1 suspected
	freed k2
	freed k3
	rm /etc/safeload.d/cmdline.conf
}
