# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: rings: A's init asks for B, B's for A; a ring of 5; a ring of 20
# kernels: all
# matrix: arm-6.12 arm-6.1 arm64-6.12 amd64-6.12 amd64-newest *-own
# boot: main
# cpus: 2
# limit: 90
# copies: a0 a1 b0 b1 b2 b3 b4 d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 k0 k1 k2 k3 k4 k5 k6 k7 k8 k9
# shellcheck disable=SC2086 # a list
setup() { { ring a0 a1; ring b0 b1 b2 b3 b4; ring $twenty; } | conf rings; }
twenty="d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 k0 k1 k2 k3 k4 k5 k6 k7 k8 k9"

# ring NAME...: options by which each asks for the next and the last for the first.
ring() {
	_first=$1
	while [ $# -gt 1 ]; do echo "options slreq_$1 req=slreq_$2"; shift; done
	echo "options slreq_$1 req=slreq_$_first"
}

control() {
	start rings-2 /stock/modprobe slreq_a0
	start rings-5 /stock/modprobe slreq_b0
	start rings-20 /stock/modprobe slreq_d0
	must_hang rings-2 slreq_a0 slreq_a1
	must_hang rings-5 slreq_b0 slreq_b4
	must_hang rings-20 slreq_d0 slreq_k9
}

round() { # NAME FIRST MODULE...
	_name=$1 _first=$2; shift 2
	kmsg_mark
	start "$_name" /safe/modprobe "slreq_$_first"
	finish "$_name" 25
	want "$_name: modprobe ends with 0" [ "$rc" = 0 ]
	for _x in "$_first" "$@"; do want "$_name: slreq_$_x is live" is "slreq_$_x" live; done
	want "$_name: one refusal" count "$(kmsg)" "safeload: refused" 1
	want "$_name: proven, not suspected" proven
	for _x in "$_first" "$@"; do unload "slreq_$_x"; done
}

check() {
	round rings-2 a0 a1
	round rings-5 b0 b1 b2 b3 b4
	# shellcheck disable=SC2086
	round rings-20 $twenty
}
