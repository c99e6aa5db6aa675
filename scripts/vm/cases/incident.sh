# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the real incident, aes-arm-bs: on 6.1 with its alias of 2020, on 6.12 with 6.1's glue (2024)
# kernels: arm-*
# matrix: arm-6.12
# boot: incident
# helper: none
# limit: 60
# modules: aes_arm_bs aes_arm crypto_user algif_skcipher
# extra: incident
#
# The requester is a kernel thread of the crypto core. There are 60 s: then the kernel gives the algorithm
# up for good, although the module is live. So only /proc/crypto and a known answer prove anything.
setup() {
	case $kver in 6.1.*) echo "alias crypto-cbc(aes) aes_arm_bs" | conf incident ;; esac
	/stock/modprobe crypto_user
	/stock/modprobe algif_skcipher
	# What boot left instantiated would serve as the fallback, and nothing would be requested.
	/t/vmtool delalg "cbc(ecb(aes-generic))" "cbc(aes-generic)" "ctr(aes-generic)" "ecb(aes-generic)"
}

control() {
	start incident /stock/modprobe aes_arm_bs
	must_hang incident aes_arm_bs
}

# crypto DRIVER FIELD: a field of /proc/crypto.
crypto() { awk -v d="$1" -v f="$2" '/^driver/ {on = $3 == d} on && $1 == f {print $3}' /proc/crypto | sort -u | tr '\n' ' ' | sed 's/ $//'; }

check() {
	want "nothing is loaded yet" is aes_arm_bs absent
	kmsg_mark
	start incident /safe/modprobe aes_arm_bs
	finish incident 50
	want "modprobe ends with 0" [ "$rc" = 0 ]
	log "incident: modprobe took $(seconds "$took") s"
	want "within 15 s" [ "$took" -le 1500 ]
	want "the module is live" is aes_arm_bs live
	want "cbc-aes-neonbs passed its self-test" [ "$(crypto cbc-aes-neonbs selftest)" = passed ]
	want "an encryption through it gives the published answer" /t/vmtool algkat cbc-aes-neonbs
	# 6.1 finds aes-generic and asks for no other cipher.
	case $kver in
	6.1.*) ;;
	*) want "the better fallback aes-arm is loaded: only the recursive request was refused" is aes_arm live ;;
	esac
	want "a refusal is on record" has "$(kmsg)" "safeload: refused.*aes_arm_bs"
	grep 'safeload:' "$(kmsg)" | sed 's/^/#L# incident: /'
}
