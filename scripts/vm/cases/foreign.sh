# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a helper that the kernel cannot start: 50 requests, one within the other; install refuses it, doctor says it
# kernels: all
# matrix: arm-6.12 amd64-6.12
# off-target: it starts helpers from /run, where systems allow no programs
# boot: main
# limit: 90
setup() { :; }

# foreign: a program for another architecture.
foreign() {
	cp /bin/busybox /run/foreign
	printf '\026\000' | dd of=/run/foreign bs=1 seek=18 conv=notrunc 2>/dev/null # e_machine: S/390
	chmod 755 /run/foreign
}

stock() {
	foreign
	_was=$(cat /proc/sys/kernel/modprobe)
	kmsg_mark
	helper /run/foreign
	run 60 mount -t foreign none /tmp
	helper "$_was"
	echo "$case: after it" >/dev/kmsg # the kernel's line has no end, and is not to be read before another comes
	log "$case: mount ended with $rc after $(seconds "$took") s: $(grep -m 1 -o 'modprobe .* cannot be processed.*' "$(kmsg)")"
	case $kver in
	6.1.* | 6.12.*) want "the kernel asks for its format by itself, up to its limit" has "$(kmsg)" "modprobe binfmt-.* cannot be processed" ;;
	*) ! exact || want "a kernel that asks for no format any more returns at once" [ "$took" -lt 400 ] ;;
	esac
}

check() {
	foreign
	_was=$(cat /proc/sys/kernel/modprobe)
	kmsg_mark
	run 30 /safe/safeload install --helper /run/foreign
	want "install refuses it" [ "$rc" = 1 ]
	want "and says why: $(tail -n 1 "$out")" has "$out" "it is for .*, and the kernel starts programs for"
	want "kernel.modprobe is as it was" [ "$(cat /proc/sys/kernel/modprobe)" = "$_was" ]
	want "nothing was installed" [ ! -e /var/lib/safeload/installed ]
	head -c 20000 /safe/modprobe >/run/short && chmod 755 /run/short
	run 30 /safe/safeload install --helper /run/short
	want "nor one that is cut short" has "$out" "cut short"

	mkdir -p /run/noexec && mount -t tmpfs -o noexec none /run/noexec
	cp /bin/busybox /run/noexec/helper
	for _h in "/run/foreign it is for" "/run/short cut short" "/run/noexec/helper mounted noexec" "/run no regular file"; do
		helper "${_h%% *}"
		run 60 /safe/safeload doctor
		want "doctor says of ${_h%% *}: ${_h#* }" has "$out" "the kernel cannot start it: .*${_h#* }"
	done
	helper "$_was"
	umount /run/noexec
	rm -f /run/foreign /run/short
	want "nobody has asked for a format" lacks "$(kmsg)" "binfmt-"
}
