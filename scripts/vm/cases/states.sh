# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: what modprobe, insmod, rmmod and lsmod say and return of modules in every state, as kmod in the other boot
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: dropin
# limit: 150
#
# slprov is what sluse needs. kmod 30's place in its source, which newer ones do not print, is left out; so is what it
# does not have, a path as modprobe's module.
setup() { :; }

# say WHAT COMMAND...: notes what the command returns and prints.
say() {
	_what=$1; shift
	"$@" >/tmp/say.out 2>/tmp/say.err
	note "$_what" "$? $(sed "s|$dir/|/|g" /tmp/say.out | tr '\n' ';')$(
		sed "s|\.\./[^ ]*:[0-9]* [a-z_]*() ||; s|^\(libkmod: [A-Z]*\) \.\./[^ ]*:[0-9]* |\1: |; s|$dir/|/|g" /tmp/say.err | tr '\n' ';')"
}

states() {
	dir=$1 up=/lib/modules/$kver/updates
	builtin=$(sed -n 's|.*/\(.*\)\.ko$|\1|p' "/lib/modules/$kver/modules.builtin" | head -n 1)
	say absent-remove "$1/modprobe" -r slprov
	say absent-remove-first "$1/modprobe" -r --first-time slprov
	say absent-rmmod "$1/rmmod" slprov
	say unknown "$1/modprobe" nonesuch
	say unknown-all "$1/modprobe" -a nonesuch slwait
	say unknown-quiet "$1/modprobe" -q nonesuch
	say unknown-rmmod "$1/rmmod" nonesuch slwait
	say symbol-missing "$1/insmod" "$up/sluse.ko"
	say parameter-bad "$1/modprobe" -v slprov delay_ms=x
	say parameter-bad-insmod "$1/insmod" "$up/slprov.ko" delay_ms=x
	say parameter-unknown "$1/insmod" "$up/slprov.ko" nonesuch=1
	say parameter-unknown-remove "$1/rmmod" -v slprov
	say init-fails "$1/modprobe" slprov fail=5
	say init-fails-dependency "$1/modprobe" --first-time sluse fail=5
	say load-remove "$1/modprobe" -rv sluse
	sed 's/vermagic=[0-9]/vermagic=x/' "$up/slprov.ko" >/tmp/vermagic.ko
	say vermagic "$1/insmod" /tmp/vermagic.ko
	say vermagic-forced "$1/insmod" -f /tmp/vermagic.ko
	say vermagic-forced-remove "$1/modprobe" -r slprov
	head -c 3000 "$up/slprov.ko" >/tmp/cut.ko
	: >/tmp/empty.ko
	say damaged "$1/insmod" /tmp/cut.ko
	say damaged-empty "$1/insmod" /tmp/empty.ko
	say load "$1/modprobe" -v sluse
	say load-again "$1/modprobe" -v sluse
	say load-again-first "$1/modprobe" --first-time sluse
	say load-again-insmod "$1/insmod" "$up/sluse.ko"
	say used-remove "$1/modprobe" -r slprov
	say used-remove-all "$1/modprobe" -ra slprov nonesuch
	say used-rmmod "$1/rmmod" slprov
	say used-rmmod-force "$1/rmmod" -f slprov
	say used-lsmod sh -c "'$1/lsmod' | grep -w '^sl[pu].*'"
	say holders-removed "$1/modprobe" -r sluse
	say load-all "$1/modprobe" -av sluse slwait
	(sleep 1; /bin/busybox true; exec "$1/rmmod" sluse) &
	say released-while-waiting "$1/modprobe" -rv -w 20000 slprov
	wait
	say remove-rest "$1/modprobe" -ra slwait sluse
	say builtin "$1/modprobe" -v "$builtin"
	say builtin-first "$1/modprobe" --first-time "$builtin"
	say builtin-remove "$1/modprobe" -r "$builtin"
	say builtin-rmmod "$1/rmmod" "$builtin"
	say left "$1/lsmod"
}

programs_states() {
	mkdir -p /tmp/states
	for p in insmod rmmod lsmod; do ln -sf /safe/safeload "/tmp/states/$p"; done
	ln -sf /safe/modprobe /tmp/states/modprobe
}

stock() { states /stock; want "nothing is left" not grep -q '^sl' /proc/modules; }
check() {
	programs_states
	states /tmp/states
	want "nothing is left" not grep -q '^sl' /proc/modules
	# Where kmod 30 does otherwise than newer ones: it says that it could not remove slprov a second time, and forgets
	# the failure when the time of -w is up.
	/safe/modprobe sluse
	run 30 /safe/modprobe -r -w 300 slprov
	want "-w: fails when its time is up" [ "$rc" = 1 ]
	want "-w: took that time" [ "$took" -ge 30 ]
	want "-w: says so" grep -qx "modprobe: ERROR: could not remove 'slprov': Resource temporarily unavailable" "$out"
	run 30 /safe/modprobe -rv --remove-holders slprov
	want "--remove-holders: ends with 0" [ "$rc" = 0 ]
	want "--remove-holders: removes the holder first, and each once" [ "$(tr '\n' ' ' <"$out")" = "rmmod sluse rmmod slprov " ]
	want "--remove-holders: nothing is left" not grep -q '^sl' /proc/modules
}
