# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload modules-load: two modules whose inits ask for each other, which hang with kmod; one that is missing stops no other
# kernels: all
# matrix: arm-6.12
# boot: main
# limit: 90
# copies: ba bb bc
setup() {
	{ echo "options slreq_ba req=slreq_bb delay_ms=500"; echo "options slreq_bb req=slreq_ba delay_ms=500"
	  echo "alias $(device) slreq_bc"; } | conf bootload
}

# device: the alias of some device.
device() {
	for _a in /sys/devices/*/modalias /sys/devices/*/*/modalias; do
		[ -s "$_a" ] && cat "$_a" && return
	done
}

control() {
	start bootload-a /stock/modprobe slreq_ba
	start bootload-b /stock/modprobe slreq_bb
	must_hang bootload-a slreq_ba
	must_hang bootload-b slreq_bb
}

check() {
	printf '# these cross\nslreq_ba\n\nslreq_bb\n' >/tmp/bootload.conf
	kmsg_mark
	run 60 /safe/safeload modules-load --jobs 2 /tmp/bootload.conf
	want "ends with 0 ($rc: $(cat "$out"))" [ "$rc" = 0 ]
	want "both are live" [ "$(state slreq_ba) $(state slreq_bb)" = "live live" ]
	# By the kernel's helper in the kernel's log, by a modprobe of modules-load in what that prints.
	want "for one was refused" [ "$(cat "$(kmsg)" "$out" | grep -c refused)" -ge 1 ]
	want "not by patience" proven
	unload slreq_ba slreq_bb
	mkdir -p /run/modules-load.d
	printf 'slreq_none\nslreq_bc\n' >/run/modules-load.d/bootload.conf
	run 60 /safe/safeload modules-load
	rm /run/modules-load.d/bootload.conf
	want "one that is missing: 1" [ "$rc" = 1 ]
	want "and is named" has "$out" "slreq_none not found"
	want "the other is live" is slreq_bc live
	unload slreq_bc
	run 60 /safe/safeload coldplug -n
	want "coldplug asks for the module of a device ($rc: $(cat "$out"))" grep -qxF "$(device)" "$out"
	want "and ends with 0" [ "$rc" = 0 ]
}
