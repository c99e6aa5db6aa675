#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dracut module: where safeload is installed as the kernel's helper, it is the
# initramfs's modprobe too (see the initramfs-tools hook).

safeload_helper() {
	sed -n 's/^helper=//p' "${dracutsysrootdir-}/var/lib/safeload/installed" 2>/dev/null
}

# safeload_program: where the probe is set up for the boot, safeload itself.
safeload_program() {
	grep -q '^unit=.' "${dracutsysrootdir-}/var/lib/safeload/installed" 2>/dev/null &&
		sed -n 's/^program=//p' "${dracutsysrootdir-}/var/lib/safeload/installed"
}

check() {
	local helper
	helper=$(safeload_helper)
	[ -n "$helper" ] && [ -x "${dracutsysrootdir-}$helper" ]
}

depends() {
	echo base
}

# initdir and moddir are dracut's.
# shellcheck disable=SC2154
install() {
	local helper program dir conf
	helper=$(safeload_helper)
	# After all others (99): what they put there is replaced at one stroke.
	cp -L "${dracutsysrootdir-}$helper" "$initdir/sbin/modprobe.safeload" &&
		chmod 755 "$initdir/sbin/modprobe.safeload" &&
		mv -f "$initdir/sbin/modprobe.safeload" "$initdir/sbin/modprobe"
	program=$(safeload_program)
	if [ -n "$program" ] && [ -x "${dracutsysrootdir-}$program" ]; then
		inst_simple "${dracutsysrootdir-}$program" /usr/sbin/safeload
		inst_hook pre-udev 05 "$moddir/probe.sh"
	fi
	for dir in /etc/safeload.d /usr/local/lib/safeload.d /usr/lib/safeload.d; do
		for conf in "${dracutsysrootdir-}$dir"/*.conf; do
			[ -e "$conf" ] || continue
			inst_simple "$conf" "$dir/${conf##*/}"
		done
	done
}
