# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: user-space hops: an install command with a shell and env -i, with setsid, with a daemon whose parent has gone
# kernels: all
# boot: main
# limit: 150
# copies: i0 i1 i2
#
# The init of slreq_iN asks for an alias whose install command comes back to slreq_iN.
# MODPROBE is the helper of the boot, by its full path.
setup() {
	m=$(cat /proc/sys/kernel/modprobe)
	{
		echo "options slreq_i0 req=install-i0"
		echo "install install-i0 /bin/sh -c 'env -i $m -q slreq_i0'"
		echo "options slreq_i1 req=install-i1"
		echo "install install-i1 /bin/sh -c 'setsid env -i $m -q slreq_i1 & wait'"
		echo "options slreq_i2 req=install-i2"
		echo "install install-i2 /bin/sh /tmp/daemonize $m"
	} | conf install
	# The middle process ends at once; the daemon is init's child when it comes to loading.
	cat >/tmp/daemonize <<-'DAEMON'
		rm -f /tmp/daemon-done
		(setsid sh -c "sleep 1; env -i $1 -q slreq_i2; echo done >/tmp/daemon-done" &) </dev/null >/dev/null 2>&1
		while [ ! -e /tmp/daemon-done ]; do sleep 0.1; done
	DAEMON
}

control() {
	for _m in i0 i1 i2; do
		start "install-$_m" /stock/modprobe "slreq_$_m"
		must_hang "install-$_m" "slreq_$_m"
	done
}

check() {
	for _m in i0 i1 i2; do
		kmsg_mark
		start "install-$_m" /safe/modprobe "slreq_$_m"
		finish "install-$_m" 45
		want "$_m: modprobe ends with 0" [ "$rc" = 0 ]
		want "$_m: the module is live" is "slreq_$_m" live
		want "$_m: one refusal" count "$(kmsg)" "safeload: refused" 1
		# What a shell waits for in its wait builtin, or in a loop around sleep, nothing proves.
		[ "$_m" != i0 ] || want "$_m: proven, not suspected" proven
		unload "slreq_$_m"
	done
}
