# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: modules whose files are called otherwise ask for themselves: plain, .ko.xz, by an install command, a path, a copy, a symlink
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: main
# limit: 150
# extra: identity
setup() {
	{
		echo "options slreq_x5_current req=slreq-x5-current"
		echo "options slreq_x6_current req=slreq-x6-current"
		echo "options slreq_x7_current req=slreq_x7"
		echo "install slreq_x7 $(cat /proc/sys/kernel/modprobe) -i slreq-x7-current"
	} | conf identity
}
file=/lib/modules/$kver/updates/slreq-x5-current.ko

control() {
	start identity-plain /stock/modprobe slreq-x5-current
	start identity-xz /stock/modprobe slreq-x6-current
	start identity-command /stock/modprobe slreq_x7
	must_hang identity-plain slreq_x5
	must_hang identity-xz slreq_x6
	must_hang identity-command slreq_x7
}

# refused FORM MODULE COMMAND...: the load ends well, for the one that came back has been refused.
refused() {
	_form=$1 _m=$2; shift 2
	kmsg_mark
	run 30 "$@"
	want "$_form: ends with 0" [ "$rc" = 0 ]
	want "$_form: the module is live" is "$_m" live
	want "$_form: one refusal, by the module's own name" count "$(kmsg)" "safeload: refused $_m " 1
	want "$_form: proven, not suspected" proven
	unload "$_m"
}

# freed FORM MODULE COMMAND...: a load that hangs with kmod as the helper: who looks sees it, and ends it.
freed() {
	_form=$1 _m=$2; shift 2
	start identity-freed "$@"
	diagnose_until 20 ends_with 3
	sed 's/^/#L# identity: /' "$out"
	want "$_form: diagnose finds it, certain" has "$out" "^FOUND (certain): the load of $_m waits for itself"
	run 20 /safe/safeload status
	want "$_form: status shows the load" has "$out" "loads $_m (coming)"
	want "$_form: and the wait for it" has "$out" "waits for another's load of $_m (coming)"
	run 40 /safe/safeload diagnose --free
	want "$_form: --free ends what waits" has "$out" "^free: ended pid [0-9]* (modprobe), which waited for $_m, by signal 15"
	want "$_form: and says that this was all" has "$out" "^free: no load waits for itself any more"
	finish identity-freed 20
	want "$_form: the load ends with 0" [ "$rc" = 0 ]
	want "$_form: its module is live" is "$_m" live
	unload "$_m"
}

check() {
	ln -sf /safe/modprobe /tmp/insmod
	refused plain slreq_x5 /safe/modprobe slreq-x5-current
	refused xz slreq_x6 /safe/modprobe slreq-x6-current
	refused command slreq_x7 /safe/modprobe slreq_x7
	cp "$file" /tmp/slreq-other.ko
	ln -sf "$file" /tmp/slreq-link.ko
	refused path slreq_x5 /tmp/insmod "$file" req=slreq-x5-current
	refused "another file" slreq_x5 /tmp/insmod /tmp/slreq-other.ko req=slreq-x5-current
	refused symlink slreq_x5 /safe/safeload load /tmp/slreq-link.ko req=slreq-x5-current
	refused "kmod outside" slreq_x5 /stock/modprobe slreq-x5-current
	helper /stock/modprobe
	freed plain slreq_x5 /stock/modprobe slreq-x5-current
	freed xz slreq_x6 /stock/modprobe slreq-x6-current
	helper /safe/modprobe
}
