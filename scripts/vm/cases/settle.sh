# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload install in a running system, via sysctl and via divert: refused when it does not work, in force at once, undone exactly
# kernels: all
# matrix: arm-6.12 amd64-6.12 *-own
# boot: settings
# limit: 240
# extra: dpkg
# copies: v0 v1
setup() { { echo "options slreq_v0 req=slreq_v0"; echo "options slreq_v1 req=slreq_v1"; } | conf settle; }

# Each phase below begins with the very hang that ends with it; a second one here is the control for both.
control() {
	start settle /stock/modprobe slreq_v0
	must_hang settle slreq_v0
}

knob() { cat /proc/sys/kernel/modprobe; }
# picture: every file that an installation could touch, and kernel.modprobe.
picture() {
	find /etc /var /usr /sbin /bin /safe /stock ! -name diversions-old -type f -exec md5sum {} + -o -type l -exec ls -l {} + |
		sed 's/ [A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]* / /' | sort -k 2
	find /etc /var /usr /sbin /stock -type f -exec stat -c '%n %a %u %g' {} + -o -type d -exec stat -c '%n %a %u %g' {} + | sort
	knob
}
same() { picture >/tmp/picture; cmp -s /tmp/picture "$1" || { diff "$1" /tmp/picture | head -20 | sed 's/^/#L# /'; return 1; }; }
safeload() {
	run 120 /safe/safeload "$@"
	sed "s/^/#L# settle: $1: /" "$out"
}
# recursion MODULE: the load asks the kernel for itself; the load itself is kmod's.
recursion() { start recursion /stock/modprobe "$1"; }

check() {
	# As on a system that has kmod alone.
	mv /sbin/modprobe /tmp/sbin-modprobe
	ln -s /usr/bin/kmod /sbin/modprobe
	mkdir -p /usr/sbin
	cp /safe/modprobe /usr/sbin/safeload-modprobe
	helper /sbin/modprobe
	# dpkg-divert keeps the list of before beside the present one.
	: >/var/lib/dpkg/diversions-old
	picture >/tmp/before

	printf '#!/bin/sh\nexit 1\n' >/tmp/fake; chmod 755 /tmp/fake
	for _h in /tmp/fake /bin/busybox /no/such/file /safe/safeload; do
		safeload install --helper "$_h"
		want "a helper that does not work ($_h) is refused" [ "$rc" = 1 ]
		want "$_h: and nothing is changed" same /tmp/before
	done
	safeload install -n
	want "-n: exit 0" [ "$rc" = 0 ]
	want "-n: says what would be done" has "$out" "^would set kernel.modprobe to /usr/sbin/safeload-modprobe (was /sbin/modprobe)"
	want "-n: changes nothing" same /tmp/before

	# A hang that is there already; safeload is made the helper beside it.
	recursion slreq_v0
	wait_for 30 is slreq_v0 coming
	safeload install
	want "sysctl: exit 0" [ "$rc" = 0 ]
	want "sysctl: says what it changed" has "$out" "^set kernel.modprobe to /usr/sbin/safeload-modprobe (was /sbin/modprobe)"
	want "sysctl: in force at once" [ "$(knob)" = /usr/sbin/safeload-modprobe ]
	want "sysctl: and at boot" has /etc/sysctl.d/60-safeload.conf "^kernel.modprobe = /usr/sbin/safeload-modprobe$"
	want "the load from before still hangs" not ended recursion
	run 40 /safe/safeload diagnose --free
	finish recursion 30
	want "until it is freed" [ "$rc" = 0 ]
	kmsg_mark
	recursion slreq_v1
	finish recursion 30
	want "sysctl: a recursion ends" [ "$rc" = 0 ]
	want "sysctl: its module is live" is slreq_v1 live
	want "sysctl: it was refused" count "$(kmsg)" "safeload: refused slreq_v1" 1
	unload slreq_v0 slreq_v1
	safeload install
	want "sysctl, again: nothing to change" has "$out" "nothing to change"
	safeload install --via divert
	want "divert on top of sysctl is refused" [ "$rc" = 1 ]
	run 60 /safe/safeload doctor
	want "doctor knows of it" has "$out" "installed *via sysctl"
	want "and of the setting at boot" has "$out" "ok *at boot *.*safeload"
	safeload uninstall
	want "uninstall: exit 0" [ "$rc" = 0 ]
	want "uninstall: all is exactly as before" same /tmp/before
	safeload uninstall
	want "uninstall, again: not installed" has "$out" "not installed, nothing to change"

	# Nothing to go back to.
	safeload install
	mv /sbin/modprobe /tmp/away; ln -s /no/kmod /sbin/modprobe
	safeload uninstall
	want "uninstall without a modprobe to go back to is refused" [ "$rc" = 1 ]
	want "and safeload stays in force" [ "$(knob)" = /usr/sbin/safeload-modprobe ]
	rm /sbin/modprobe; mv /tmp/away /sbin/modprobe
	safeload uninstall
	want "and then goes on" same /tmp/before

	# A system whose requests are turned off gets that back.
	echo >/proc/sys/kernel/modprobe
	safeload install
	want "requests were off: in force now" [ "$(knob)" = /usr/sbin/safeload-modprobe ]
	safeload uninstall
	want "requests are off again" [ -z "$(knob)" ]
	helper /sbin/modprobe

	safeload install --via divert
	want "divert: exit 0" [ "$rc" = 0 ]
	want "divert: kernel.modprobe stays" [ "$(knob)" = /sbin/modprobe ]
	want "divert: /sbin/modprobe is safeload" cmp -s /sbin/modprobe /safe/modprobe
	want "divert: kmod's is kept" [ "$(readlink /sbin/modprobe.kmod)" = /usr/bin/kmod ]
	want "divert: dpkg knows" has /var/lib/dpkg/diversions "^/sbin/modprobe.kmod$"
	kmsg_mark
	recursion slreq_v0
	finish recursion 30
	want "divert: a recursion ends" [ "$rc" = 0 ]
	want "divert: it was refused" count "$(kmsg)" "safeload: refused slreq_v0" 1
	unload slreq_v0
	safeload uninstall
	want "divert: uninstall brings everything back" same /tmp/before
	mv /usr/bin/dpkg-divert /tmp/; picture >/tmp/before-without
	safeload install --via divert
	want "divert without dpkg is refused" [ "$rc" = 1 ]
	want "and says what to do" has "$out" "use --via sysctl"
	want "and changes nothing" same /tmp/before-without
	mv /tmp/dpkg-divert /usr/bin/
	rm /sbin/modprobe; mv /tmp/sbin-modprobe /sbin/modprobe
	rm /usr/sbin/safeload-modprobe
	helper /safe/modprobe
}
