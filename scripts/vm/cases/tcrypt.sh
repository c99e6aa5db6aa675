# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: Debian's own tcrypt, whose init asks for an alias of itself (alg=recurse)
# kernels: all
# boot: main
# boards: orangepi-pc
# limit: 45
# quick: yes
# modules: tcrypt
#
# tcrypt always ends with an error by design: that the outer command returns is the point.
setup() { echo "alias crypto-recurse tcrypt" | conf tcrypt; }

control() {
	start tcrypt /stock/modprobe tcrypt alg=recurse
	must_hang tcrypt tcrypt
}

check() {
	kmsg_mark
	start tcrypt /safe/modprobe tcrypt alg=recurse
	outer=$(pid_of tcrypt)
	wait_for 25 refused_once
	at=$(now)
	finish tcrypt 20
	ended_at=$(now)
	want "the outer command returns" [ "$rc" != hang ]
	! exact || want "within 2 s of the refusal" [ $((ended_at - at)) -le 200 ]
	want "the refusal is proven, not suspected" proven
	k=$(kmsg)
	want "one line on the refusal in the kernel's log" count "$k" "safeload: refused" 1
	want "it names the module" has "$k" "safeload: refused.*tcrypt"
	want "it names the request" has "$k" "safeload: refused.*crypto-recurse"
	want "it names the pid of the outer load" has "$k" "safeload: refused.*$outer"
	grep 'safeload:' "$k" | sed 's/^/#L# /'
}
refused_once() { has "$(kmsg)" "safeload: refused"; }
