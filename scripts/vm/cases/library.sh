# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a Go program that loads by package modprobe: as the outer load, as the one refused, several at once
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: main
# limit: 90
# copies: ta tb tc td te
#
# ta asks for itself: the kernel's helper is refused, and the program's load succeeds. tb asks for a name whose install command
# is the program: there the program is the one that is refused. tc to te are loaded at once by one process.
setup() {
	{
		echo "options slreq_ta req=slreq_ta"
		echo "options slreq_tb req=library-inner"
		echo "install library-inner /t/vmtool library slreq_tb >/tmp/library-inner 2>&1"
		echo "alias library-three slreq_tc"
		echo "alias library-three slreq_td"
		echo "options slreq_tc hold_ms=500"
		echo "alias library-black slreq_te"
		echo "blacklist slreq_te"
	} | conf library
}

control() {
	start library-outer /t/vmtool library slreq_ta
	must_hang library-outer slreq_ta
}

check() {
	kmsg_mark
	run 30 /t/vmtool library slreq_ta
	want "the outer load succeeds" has "$out" "^slreq_ta ok"
	want "the module is live" is slreq_ta live
	want "proven, not suspected" proven
	want "one refusal" count "$(kmsg)" "safeload: refused.*slreq_ta" 1

	run 30 /safe/modprobe slreq_tb
	want "tb: the outer load succeeds" [ "$rc" = 0 ]
	want "tb: the module is live" is slreq_tb live
	want "tb: the program is refused and has the chain" has /tmp/library-inner "^slreq_tb refused over [2-9] hops"

	# One of those at once has the guard; which, is left to chance.
	run 30 /t/vmtool library library-three slreq_tc slreq_td slreq_tc library-black library-none
	want "at once: three modules" count "$out" " ok" 4
	want "at once: live" is slreq_tc live
	want "at once: the other as well" is slreq_td live
	want "an alias of a blacklisted module" has "$out" "^library-black blacklisted"
	want "what is nowhere" has "$out" "^library-none not found"
	want "te was not loaded" is slreq_te absent

	run 30 /t/vmtool library -r slreq_ta slreq_tb slreq_tc slreq_td
	want "removal" count "$out" " ok" 4
	want "removed" is slreq_td absent
}
