# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: an init that makes the kernel oops: its modprobe ends by SIGSEGV, as kmod's, and who asked goes on
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: oops
# limit: 40
# copies: o0 o1 o2
setup() {
	conf oops <<-EOF
		alias fs-oops slreq_o0
		options slreq_o0 oops=1
		options slreq_o1 oops=1
		options slreq_o2 oops=1
	EOF
}

# oops MODPROBE COMMAND...: the command loads a file.
oops() {
	_modprobe=$1; shift
	start mount mount -t oops none /tmp
	finish mount 20
	note "who asked goes on" "$(ended mount && echo yes)"
	log "$case: mount ended with $rc after $(seconds "$took") s"
	wait_for 5 none_left
	note "the helper is gone" "$(none_left && echo yes)"
	start direct "$_modprobe" slreq_o1
	finish direct 20
	note "modprobe ends with" "$rc"
	start file "$@" "$(find "/lib/modules/$kver" -name 'slreq_o2.ko*' | head -n 1)" oops=1
	finish file 20
	note "who loads a file ends with" "$rc"
	note "the module stays" "$(state slreq_o0) $(state slreq_o1) $(state slreq_o2)"
}
none_left() { ! pidof modprobe safeload-modprobe >/dev/null; }

stock() {
	oops /stock/modprobe /stock/insmod
	want "an oops ends modprobe by SIGSEGV" [ "$rc" = 139 ]
}

check() {
	kmsg_mark
	oops /safe/modprobe /safe/safeload insmod
	want "an oops ends insmod by SIGSEGV" [ "$rc" = 139 ]
	want "no core is left" lacks "$(cat "$out")" "core dumped"
}
