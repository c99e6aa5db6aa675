# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: what an init returns is its answer, EINTR too: one init, as with kmod, and load says whose answer it is
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: main
# limit: 60
# copies: ea
# extra: xz
setup() { :; }
inits() { dmesg | grep -c "$1: init: done"; }
# once TEXT MODULE COMMAND...: its init returns EINTR.
once() {
	_text=$1 _module=$2 _before=$(inits "$2"); shift 2
	run 30 "$@" fail=4
	note "$_text ends with" "$rc"
	note "$_text runs so many inits" "$(($(inits "$_module") - _before))"
}
file_of() { find "$1/lib/modules/$kver" -name "$2.ko*" | head -n 1; }
# eintr MODPROBE INSMOD...
eintr() {
	_modprobe=$1; shift
	once "modprobe" slreq_ea "$_modprobe" slreq_ea
	once "modprobe of an xz file" slreq_x1 "$_modprobe" -d /xz slreq_x1
	once "insmod" slreq_ea "$@" "$(file_of "" slreq_ea)"
	want "the module is gone" is slreq_ea absent
}
stock() { eintr /stock/modprobe /stock/insmod; }

# whose TEXT WANTED UNWANTED FILE [PARAMETER...]: load fails, and says the one and not the other.
whose() {
	_text=$1 _yes=$2 _no=$3; shift 3
	run 30 /safe/safeload load "$@"
	want "$_text: fails" [ "$rc" = 1 ]
	want "$_text: says '$_yes', not '$_no': $(head -n 1 "$out")" has "$out" "$_yes"
	want "$_text: does not say '$_no'" lacks "$out" "$_no"
}

check() {
	eintr /safe/modprobe /safe/safeload insmod
	plain=$(file_of "" slreq_ea) packed=$(file_of /xz slreq_x1) init="the module's init returned this"
	for _file in "$plain" "$packed"; do
		_module=$(basename "$_file" | cut -d. -f1) _before=$(inits "$_module")
		whose "EINTR from ${_file##*/}" "$init" "interrupted;\|or the" "$_file" fail=4
		want "EINTR from ${_file##*/}: one init" [ $(($(inits "$_module") - _before)) = 1 ]
	done
	# Those that the kernel has words of its own for, and one that it has none for.
	whose "EEXIST from init" "$init" "already loaded" "$plain" fail=17
	whose "ENOSYS from init" "$init" CONFIG_MODULES "$plain" fail=38
	whose "ENOEXEC from init" "$init" "not a module" "$packed" fail=8
	whose "ENODEV from init" "$init" "or the" "$plain" fail=19
	# And the kernel's.
	head -c 3000 "$plain" >/tmp/slreq_cut.ko
	whose "a file cut short" "not a module" "$init" /tmp/slreq_cut.ko
	whose "a parameter that does not fit" "a parameter" "$init" "$plain" delay_ms=x
	run 30 /safe/safeload load "$plain"
	want "it loads" [ "$rc" = 0 ]
	whose "a module that is there" "already loaded" "$init" "$plain"
	unload slreq_ea
}
