# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a guard that can do nothing: read-only /run, no cgroup, no /run, no /proc: plain loads as with kmod
# kernels: all
# boot: main
# limit: 60
# copies: f0 f1 f2 f3 f4
#
# unshare gives each a mount namespace of its own; the others keep theirs.
broken() { # TEXT MODULE SHELL-COMMAND-FIRST
	run 20 unshare -m sh -c "mount --make-rprivate / 2>/dev/null; $3; exec /safe/modprobe slreq_$2"
	want "$1: ends with 0" [ "$rc" = 0 ]
	want "$1: the module is live" is "slreq_$2" live
	want "$1: at most one line said" [ "$(wc -l <"$out")" -le 1 ]
	want "$1: no panic" lacks "$out" "goroutine\|panic:"
	unload "slreq_$2"
}

check() {
	broken "read-only /run" f0 "mount -t tmpfs -o ro none /run"
	broken "no cgroup" f1 "umount -l /sys/fs/cgroup"
	broken "no /run" f2 "mount -t tmpfs none /tmp; mount --move /run /tmp 2>/dev/null; umount -l /run"
	broken "no /sys" f3 "umount -l /sys"
	broken "no /proc" f4 "umount -l /proc"
}
