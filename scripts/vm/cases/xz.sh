# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: xz and gzip modules, decompressed by the kernel (6.12) and in user space, also under vm.memfd_noexec=2
# kernels: all
# boot: main
# limit: 90
# extra: xz
setup() { :; }
check() {
	if [ -e /sys/module/compression ]; then log "xz: the kernel decompresses $(cat /sys/module/compression)"; else log "xz: the kernel does not decompress"; fi
	case $kver in 6.1.*) ;; *) want "this kernel is one that decompresses xz" grep -q xz /sys/module/compression ;; esac
	run 30 /safe/modprobe -d /xz slreq_x0
	want "the kernel's way, or ours where it has none: ends with 0" [ "$rc" = 0 ]
	want "the module is live" is slreq_x0 live
	unload slreq_x0
	# Without /sys nobody can say that the kernel would do it.
	run 30 unshare -m sh -c 'mount -t tmpfs none /sys/module; exec /safe/modprobe -d /xz slreq_x1'
	want "in user space, xz: ends with 0" [ "$rc" = 0 ]
	want "in user space, xz: the module is live" is slreq_x1 live
	# By its file: depmod of Debian does not index .ko.gz.
	run 30 unshare -m sh -c 'mount -t tmpfs none /sys/module; exec /safe/safeload load "$0"' "/xz/lib/modules/$kver/updates/slreq_x2.ko.gz"
	want "in user space, gzip: ends with 0" [ "$rc" = 0 ]
	want "in user space, gzip: the module is live" is slreq_x2 live
	unload slreq_x1 slreq_x2
	if [ -e /proc/sys/vm/memfd_noexec ]; then
		# It is that of a pid namespace, and is never lowered.
		hard="mount -t proc proc /proc && echo 2 >/proc/sys/vm/memfd_noexec && mount -t tmpfs none /sys/module"
		run 30 unshare -p -f -m sh -c "$hard && exec /safe/modprobe -d /xz slreq_x1"
		want "under vm.memfd_noexec=2: ends with 0" [ "$rc" = 0 ]
		want "under vm.memfd_noexec=2: the module is live" is slreq_x1 live
		unload slreq_x1
		hard="$hard && mount -o bind,ro / / && for d in /run /tmp /dev; do mount -o remount,noexec \$d || exit 9; done"
		run 30 unshare -p -f -m sh -c "$hard && exec /safe/modprobe -d /xz slreq_x1"
		want "under vm.memfd_noexec=2, nothing to be written that is not noexec: ends with 0" [ "$rc" = 0 ]
		want "under vm.memfd_noexec=2, nothing to be written that is not noexec: the module is live" is slreq_x1 live
		unload slreq_x1
	fi
	head -c 2000 "$(find "/xz/lib/modules/$kver" -name 'slreq_x1.ko.xz')" >/tmp/slreq_cut.ko.xz
	run 30 unshare -m sh -c 'mount -t tmpfs none /sys/module; exec /safe/modprobe /tmp/slreq_cut.ko.xz'
	want "in user space, a file cut short: ends with 1" [ "$rc" = 1 ]
	want "in user space, a file cut short: is told in kmod's words" grep -qx "modprobe: ERROR: xz: Unexpected end of input" "$out"
}
