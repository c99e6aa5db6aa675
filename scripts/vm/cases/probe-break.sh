# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the probe flags and breaks recursions of stock kmod, busybox and an in-process loader
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: probe
# limit: 300
# copies: p0 p1 p2 p3 p4 p5 p6 p7 p8 p9
setup() {
	{
		echo "alias crypto-recurse tcrypt"
		echo "options slreq_p0 req=slreq_p0"
		echo "options slreq_p1 req=slreq_p2"
		echo "options slreq_p2 req=slreq_p1"
		echo "options slreq_p3 req=slreq_p3 via=kthread"
		echo "options slreq_p4 req=slreq_p4 via=work"
		# Each of two tasks is in its own init when it asks for the other's.
		echo "options slreq_p8 req=slreq_p9 delay_ms=3000"
		echo "options slreq_p9 req=slreq_p8 delay_ms=3000"
		echo "options slreq_p7 req=probe-shell"
		echo "install probe-shell /bin/sh -c '/bin/sh -c \"env -i /stock/modprobe slreq_p7; true\"'"
	} | conf probe-break
}

probe_file() { find "/lib/modules/$kver/updates" -name "slreq_$1.ko"; }
probe_loads() { # in this order: name, module, command
	echo "tcrypt tcrypt /stock/modprobe tcrypt alg=recurse"
	echo "self slreq_p0 /stock/modprobe slreq_p0"
	echo "ring slreq_p1 /stock/modprobe slreq_p1"
	echo "kthread slreq_p3 /stock/modprobe slreq_p3"
	echo "work slreq_p4 /stock/modprobe slreq_p4"
	echo "busybox slreq_p5 /bin/busybox insmod $(probe_file p5) req=slreq_p5"
	echo "inprocess slreq_p6 /t/vmtool load $(probe_file p6) req=slreq_p6"
	echo "shell slreq_p7 /stock/modprobe slreq_p7"
}

control() {
	probe_loads >/tmp/probe-loads
	while read -r _name _mod _cmd; do
		# shellcheck disable=SC2086 # a command and its arguments
		start "probe-$_name" $_cmd
		must_hang "probe-$_name" "$_mod"
	done </tmp/probe-loads
	for _m in p8 p9; do
		start "probe-cross-$_m" /stock/modprobe "slreq_$_m"
		must_hang "probe-cross-$_m" "slreq_$_m"
	done
}

check() {
	helper /stock/modprobe
	want "the watch starts" watch_begin -v --break
	probe_loads >/tmp/probe-loads
	while read -r _name _mod _cmd; do
		_was=$(seen finding '"certainty":"proven"')
		# shellcheck disable=SC2086 # a command and its arguments
		start "probe-$_name" $_cmd
		finish "probe-$_name" 30
		if [ "$_name" = tcrypt ]; then want "tcrypt: comes back, with its error" [ "$rc" = 1 ]
		else
			want "$_name: ends with 0" [ "$rc" = 0 ]
			want "$_name: the module is live" is "$_mod" live
		fi
		want "$_name: found, as proven" sees finding '"certainty":"proven"' $((_was + 1))
	done </tmp/probe-loads
	_was=$(seen finding .)
	for _m in p8 p9; do start "probe-cross-$_m" /stock/modprobe "slreq_$_m"; done
	for _m in p8 p9; do
		finish "probe-cross-$_m" 40
		want "cross: slreq_$_m's modprobe ends with 0" [ "$rc" = 0 ]
		want "cross: slreq_$_m is live" is "slreq_$_m" live
	done
	want "cross: found" sees finding . $((_was + 1))
	want "cross: the chain goes over both tasks" sees finding '"what":"load".*"what":"wait".*"what":"load".*"what":"wait"'
	want "every waiter left" sees freed . 8
	want "hops over a kernel thread are marked" sees finding '"via":"kthread"'
	want "hops over a work item are marked" sees finding '"via":"work"'
	want "the shells are in the chain" sees finding '"what":"process"'
	want "a line in the kernel's log" has "$(kmsg_mark; marked=0; kmsg)" "safeload: module slreq_p0: load waits for itself (proven)"
	log "from the wait to the reader, in us: $(grep -o '"seen_after_us":[0-9]*' "$watched" | cut -d: -f2 | tr '\n' ' ')"
	log "from the wait to freedom, in us: $(grep -o '"after_us":[0-9]*' "$watched" | cut -d: -f2 | tr '\n' ' ')"
	log "memory: $(grep -E 'VmHWM|VmRSS' "/proc/$(pid_of watch)/status" | tr -s '\t\n ' ' ')"
	want "less than 16 MiB resident" [ "$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(pid_of watch)/status")" -lt 16384 ]
	watch_end
	want "it looked at a real wait for the same file, if there are such" grep -qE '"cookie_seen":true|"waits_by_file":false' "$watched"
	want "the watch ends with 0" [ "$rc" = 0 ]
	want "no event lost" [ "$(seen lost .)" = 0 ]
	want "nothing is missing on this kernel" has "$watched" '"missing":\[\]'
	grep '"type":"start"' "$watched" | while read -r _l; do log "$_l"; done
	unload slreq_p0 slreq_p1 slreq_p2 slreq_p3 slreq_p4 slreq_p5 slreq_p6 slreq_p7 slreq_p8 slreq_p9
	helper /safe/modprobe
}
