# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: xz, gzip and zstd modules, decompressed by the kernel (6.12) and in user space, also what the kernel fails to decompress
# kernels: all
# matrix: arm-6.12 arm-6.1 amd64-6.12 amd64-newest *-own
# boot: main
# limit: 90
# extra: xz
setup() { :; }
inits() { dmesg | grep -c "$1: init: done"; }
# stock: kmod 30 decompresses itself. What later ones do, which leave it to the kernel, vmtool load does.
stock() {
	for m in x3 x4 x5; do
		_file=$(find "/xz/lib/modules/$kver" -name "slreq_$m.ko.xz")
		/stock/modprobe -d /xz "slreq_$m" 2>/dev/null && unload "slreq_$m"
		if [ -e /sys/module/compression ]; then
			run 30 /t/vmtool load "$_file"
			log "xz: $m: the kernel alone: $(head -n 1 "$out")"
			case $m in x3 | x5) want "$m: the kernel alone does not take it" [ "$rc" != 0 ] ;; esac
			unload "slreq_$m"
		fi
	done
}
check() {
	if [ -e /sys/module/compression ]; then log "xz: the kernel decompresses $(cat /sys/module/compression)"; else log "xz: the kernel does not decompress"; fi
	case $kver in 6.1.*) ;; *) want "this kernel is one that decompresses xz" grep -q xz /sys/module/compression ;; esac
	run 30 /safe/modprobe -d /xz slreq_x0
	want "the kernel's way, or ours where it has none: ends with 0" [ "$rc" = 0 ]
	want "the module is live" is slreq_x0 live
	unload slreq_x0
	# A check that the kernel has not, a filter and a dictionary that it may not have.
	for m in x3 x4 x5; do
		_before=$(inits "slreq_$m")
		run 30 /safe/modprobe -d /xz "slreq_$m"
		want "$m: what the kernel may not decompress: ends with 0, live after one init" [ "$rc $(state "slreq_$m") $(($(inits "slreq_$m") - _before))" = "0 live 1" ]
		unload "slreq_$m"
	done
	# What looks like it, and is init's answer.
	for _errno in 22 12; do
		_before=$(inits slreq_x0)
		run 30 /safe/modprobe -d /xz slreq_x0 fail=$_errno
		want "init fails with $_errno: so does the load, after one init" [ "$rc $(($(inits slreq_x0) - _before))" = "1 1" ]
	done
	run 30 /safe/modprobe -d /xz slreq_x0 no_such=1 delay_ms=x
	want "a parameter that does not fit: EINVAL, as the kernel has it" has "$out" "Invalid argument"
	# Without /sys nobody can say that the kernel would do it.
	run 30 unshare -m sh -c 'mount -t tmpfs none /sys/module; exec /safe/modprobe -d /xz slreq_x1'
	want "in user space, xz: ends with 0" [ "$rc" = 0 ]
	want "in user space, xz: the module is live" is slreq_x1 live
	# By its file: depmod of Debian does not index .ko.gz.
	run 30 unshare -m sh -c 'mount -t tmpfs none /sys/module; exec /safe/safeload load "$0"' "/xz/lib/modules/$kver/updates/slreq_x2.ko.gz"
	want "in user space, gzip: ends with 0" [ "$rc" = 0 ]
	want "in user space, gzip: the module is live" is slreq_x2 live
	unload slreq_x1 slreq_x2
	run 30 /safe/modprobe -d /xz slreq_x8
	want "zstd: ends with 0, and the module is live" [ "$rc $(state slreq_x8)" = "0 live" ]
	unload slreq_x8
	# All by a fork, which writes no file; a gzip file of two members by a program, for which the limit is lifted.
	_gzip="/xz/lib/modules/$kver/updates/slreq_x2.ko.gz" _members=/tmp/slreq_x2.ko.gz
	{ cat "$_gzip" && printf '\037\213\010\0\0\0\0\0\0\003\003\0\0\0\0\0\0\0\0\0'; } >$_members
	run 30 sh -c 'ulimit -f 64 && exec /safe/modprobe "$0"' $_members
	want "no file can be larger than 32 KiB, two members: ends with 0, and the module is live" [ "$rc $(state slreq_x2)" = "0 live" ]
	unload slreq_x2
	run 30 sh -c 'ulimit -f 64 && exec /safe/modprobe -d /xz slreq_x8'
	want "no file can be larger than 32 KiB, zstd: ends with 0, and the module is live" [ "$rc $(state slreq_x8)" = "0 live" ]
	run 30 sh -c 'ulimit -f 64 && exec /safe/modprobe "$0"' "$_gzip"
	want "no file can be larger than 32 KiB, gzip: ends with 0, and the module is live" [ "$rc $(state slreq_x2)" = "0 live" ]
	unload slreq_x2 slreq_x8
	run 30 /safe/modprobe $_members
	want "two members: ends with 0, and the module is live" [ "$rc $(state slreq_x2)" = "0 live" ]
	unload slreq_x2
	if [ -e /proc/sys/vm/memfd_noexec ]; then
		# It is that of a pid namespace, and is never lowered.
		hard="mount -t proc proc /proc && echo 2 >/proc/sys/vm/memfd_noexec && mount -t tmpfs none /sys/module"
		run 30 unshare -p -f -m sh -c "$hard && exec /safe/modprobe -d /xz slreq_x1"
		want "under vm.memfd_noexec=2: ends with 0" [ "$rc" = 0 ]
		want "under vm.memfd_noexec=2: the module is live" is slreq_x1 live
		run 30 unshare -p -f -m sh -c "$hard && exec /safe/modprobe $_gzip"
		want "under vm.memfd_noexec=2, gzip: ends with 0, and the module is live" [ "$rc $(state slreq_x2)" = "0 live" ]
		unload slreq_x2
		run 30 unshare -p -f -m sh -c "$hard && exec /safe/modprobe $_members"
		want "under vm.memfd_noexec=2, two members: ends with 0, and the module is live" [ "$rc $(state slreq_x2)" = "0 live" ]
		unload slreq_x1 slreq_x2
		hard="$hard && mount -o bind,ro / / && for d in /run /tmp /dev; do mount -o remount,noexec \$d || exit 9; done"
		run 30 unshare -p -f -m sh -c "$hard && exec /safe/modprobe -d /xz slreq_x1"
		want "under vm.memfd_noexec=2, nothing to be written that is not noexec: ends with 0" [ "$rc" = 0 ]
		want "under vm.memfd_noexec=2, nothing to be written that is not noexec: the module is live" is slreq_x1 live
		run 30 unshare -p -f -m sh -c "$hard && exec /safe/modprobe $_gzip"
		want "under vm.memfd_noexec=2, nothing to be written that is not noexec, gzip: ends with 0, and the module is live" [ "$rc $(state slreq_x2)" = "0 live" ]
		unload slreq_x2
		run 30 unshare -p -f -m sh -c "$hard && exec /safe/modprobe $_members"
		want "under vm.memfd_noexec=2, nothing to be written that is not noexec, two members: ends with 0, and the module is live" [ "$rc $(state slreq_x2)" = "0 live" ]
		unload slreq_x1 slreq_x2
	fi
	head -c 2000 "$(find "/xz/lib/modules/$kver" -name 'slreq_x1.ko.xz')" >/tmp/slreq_cut.ko.xz
	run 30 unshare -m sh -c 'mount -t tmpfs none /sys/module; exec /safe/modprobe /tmp/slreq_cut.ko.xz'
	want "in user space, a file cut short: ends with 1" [ "$rc" = 1 ]
	want "in user space, a file cut short: is told in kmod's words" grep -qx "modprobe: ERROR: xz: Unexpected end of input" "$out"
}
