#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs cases on a machine that is real. It is the top of what vm-test.sh --target copies there and --bundle writes:
#   run.sh [safe|stock]     runs the cases, and puts everything back; its output is what vm-test.sh --read takes
#   run.sh start MODE       the same in the background, whatever becomes of the connection; output in "console"
#   run.sh follow OFFSET    prints that from there on until the run is over
#   run.sh stop             ends such a run, which puts everything back
#   run.sh undo             puts back what a run has left that could not do so itself
#   run.sh reboot           at once, whatever hangs
#   run.sh clean            removes this directory, if nothing of it is in use
#
# Everything that the cases need of the root is mounted over it, so that a reboot puts it back whatever has happened:
# /tmp, /etc/modprobe.d, /etc/safeload.d and the kernel's tree of modules. The kernel starts its helper in the first
# namespace of mounts, so they must be there too. Only the empty directories /t, /safe and /stock can remain, and these
# are what a second run is kept off by.
#
# It says what the guests of the rig say (init), and
#   #T# 1|mode|key|host|release|cases   a run begins
#   #T# skip|case|phase|why             a case that is not run here
#   #T# text                            what was done to the machine
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ -z "${SAFELOAD_RUN:-}" ]; then
	# The machine's own shell may be anything: from here on it is the archive's.
	[ "$(id -u)" = 0 ] || { echo "run.sh: only root can load modules" >&2; exit 1; }
	"$here/t/busybox" true || { echo "run.sh: $here: programs cannot be started there (another architecture, or mounted noexec)" >&2; exit 1; }
	SAFELOAD_RUN=yes exec "$here/t/busybox" sh "$here/run.sh" "$@"
fi
if [ ! -e "$here/t/bin/sh" ]; then
	# Its own modprobe and friends are left out: a case must say which one it means.
	"$here/t/busybox" mkdir -p "$here/t/bin"
	for n in $("$here/t/busybox" --list); do
		case $n in modprobe | insmod | rmmod | lsmod | modinfo | depmod | busybox | init | linuxrc) continue ;; esac
		"$here/t/busybox" ln -sf ../busybox "$here/t/bin/$n"
	done
fi
export PATH="$here/t/bin" HOME=/ TERM=linux
cd / || exit 1
kver=$(uname -r) tree=$here/root/lib/modules/$kver boot=$(cat /proc/sys/kernel/random/boot_id)

tell() { echo "#T# $*"; }
die() { echo "run.sh: $*" >&2; exit 1; }
mounted() { awk -v d="$1" '$2 == d {found = 1} END {exit !found}' /proc/mounts; }
inside() { awk -v d="$here/" 'index($2, d) == 1 {found = 1} END {exit !found}' /proc/mounts; }
loaded() { cut -d' ' -f1 /proc/modules | sort; }
newer() { awk -v file="$here/before" 'BEGIN {while ((getline name <file) > 0) was[name] = 1} !($1 in was) {print $1}' /proc/modules; }

# What was done is written down, one line each, and undone from the last one on. A mount that failed must not be in it:
# the place may have one of the machine's own.
later() { echo "$1|$2|${3:-}" >>"$here/undo"; }
directory() { [ -d "$1" ] || { mkdir "$1" && later rmdir "$1"; }; }
over() { mount --bind "$2" "$1" && later umount "$1"; }
empty() { mount -t tmpfs -o "mode=$2" safeload-target "$1" && later umount "$1"; }
also() {
	[ -d "$2" ] && ! mounted "$2" || return 0
	mount -t "$1" "$1" "$2" 2>/dev/null && later umount "$2"
	return 0
}

# The settings that a case may leave changed when it is cut short.
knobs='kernel/modprobe kernel/randomize_va_space kernel/perf_event_paranoid'

# enter: the machine as the cases need it.
enter() {
	case $(readlink /proc/self/ns/mnt) in "$(readlink /proc/1/ns/mnt)") ;; *) die "this is not the namespace of mounts that the kernel's helper has; log in otherwise (nsenter -t 1 -m)" ;; esac
	[ ! -e /sys/fs/bpf/safeload ] || die "a probe of safeload is in force (/sys/fs/bpf/safeload): stop safeload watch first"
	for d in /t /safe /stock; do [ ! -e "$d" ] || die "there is a $d: another run, or what one has left (run.sh undo there, or rmdir it)"; done
	: >"$here/undo"
	loaded >"$here/before"
	echo "$boot" >"$here/boot"
	for k in $knobs; do [ ! -e "/proc/sys/$k" ] || later knob "$k" "$(cat "/proc/sys/$k")"; done
	for d in t safe stock; do
		directory "/$d" || return 1
		over "/$d" "$here/$d" || return 1
	done
	/t/busybox true || return 1
	tree_make || return 1
	directory /etc/modprobe.d && rm -rf "${here:?}/etc" && mkdir "$here/etc" || return 1
	cp -a /etc/modprobe.d/. "$here/etc/" && over /etc/modprobe.d "$here/etc" || return 1
	directory /etc/safeload.d && empty /etc/safeload.d 0755 || return 1
	if [ -e /etc/safeload.conf ]; then : >"$here/none"; over /etc/safeload.conf "$here/none" || return 1; fi
	directory /tmp && empty /tmp 1777 || return 1
	also cgroup2 /sys/fs/cgroup
	also debugfs /sys/kernel/debug
	also tracefs /sys/kernel/tracing
	# One of the run's own: a case changes who may write there.
	[ ! -d /sys/fs/bpf ] || ! mount -t bpf -o mode=0700 bpf /sys/fs/bpf 2>/dev/null || later umount /sys/fs/bpf
	PATH=/t/bin
}

# tree_make: the machine's own modules, with the test modules beside them, and indexes of both.
tree_make() {
	_own=/lib/modules/$kver
	directory /lib/modules && directory "$_own" || return 1
	rm -rf "$here/root" && mkdir -p "$here/own" "$tree/updates" || return 1
	over "$here/own" "$_own" && mount -o remount,bind,ro "$here/own" || return 1
	for f in "$here"/own/* "$here"/own/updates/*; do
		[ -e "$f" ] || continue
		case ${f#"$here/own/"} in
		updates | build | source | modules.*.bin | modules.dep | modules.alias | modules.symbols | modules.softdep | modules.weakdep | modules.devname) ;;
		modules.*) cp "$f" "$tree/" || return 1 ;;
		updates/*) ln -s "$f" "$tree/updates/" || return 1 ;;
		*) ln -s "$f" "$tree/" || return 1 ;;
		esac
	done
	for f in "$here"/updates/*; do [ ! -e "$f" ] || cp -f "$f" "$tree/updates/" || return 1; done
	/stock/depmod -b "$here/root" "$kver" || return 1
	over "$_own" "$tree"
}

# leave: as it was. What cannot be put back is said. After a reboot there are no mounts, settings and modules of a run.
leave() {
	trap '' TERM INT HUP
	unset SAFELOAD_CASES
	PATH=$here/t/bin
	same=no
	if [ "$(cat "$here/boot" 2>/dev/null)" = "$boot" ]; then
		same=yes
		cases_end
		[ ! -e "$here/before" ] || modules_leave
	fi
	# The settings first: the helper's directory goes with the mounts.
	: >"$here/undo.now"
	for kind in '^knob' '^[^k]'; do tac "$here/undo" 2>/dev/null | grep "$kind" >>"$here/undo.now"; done
	while IFS='|' read -r what name value; do
		case $what-$same in
		knob-yes) printf '%s\n' "$value" >"/proc/sys/$name" || tell "left: $name" ;;
		umount-yes) umount "$name" 2>/dev/null || umount -l "$name" || tell "left: $name is mounted" ;;
		rmdir-*) [ ! -d "$name" ] || rmdir "$name" || tell "left: $name" ;;
		esac
	done <"$here/undo.now"
	rm -f "$here/undo" "$here/undo.now"
}

# of_cases PID: the cases have started it, or the kernel for them. By its environment, as a process's number may be another's by
# now; the kernel's helpers have one of their own, but no other program is in the directories that are mounted for the run.
of_cases() {
	tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | grep -qxF "SAFELOAD_CASES=$here" && return
	[ "$dirs" = yes ] || return 1
	case $(readlink "/proc/$1/exe" 2>/dev/null) in /t/* | /safe/* | /stock/*) return 0 ;; esac
	return 1
}

# cases_end: ends what the cases have started and is still there, and the helpers for which it waits in the kernel: an init that
# no signal reaches, as it waits for a thread of its own, goes on when that one's helper ends.
cases_end() {
	dirs=no
	! grep -qs '^umount|/stock|' "$here/undo" || dirs=yes # the last of these directories
	for signal in TERM KILL; do
		found=
		for p in /proc/[0-9]*; do
			of_cases "${p#/proc/}" || continue
			kill "-$signal" "${p#/proc/}" 2>/dev/null
			found=yes
		done
		[ -n "$found" ] || return 0
		sleep 2
	done
	sleep 3 # who is killed in a request returns to his init
}

# ours MODULE: it is a test module, part of what a request for a cipher loads, or what a case names.
ours() {
	case " $named " in *" $1 "*) return 0 ;; esac
	grep -qE "^(updates/slreq_|updates/sl(prov|use|wait|hub|need|dev|devb)\\.ko|kernel/(crypto|lib|arch/[a-z0-9]+/crypto)/)" <<-END
		$(/stock/modprobe --show-depends "$1" 2>/dev/null | sed -n "\$s|^insmod .*/lib/modules/$kver/||p")
	END
}

# modules_leave: unloads what the cases have loaded, what needs others first.
modules_leave() {
	named=
	# shellcheck disable=SC2013 # names
	for m in $(sed -n 's/^# modules: *//p' "$here"/t/cases/*.sh "$here"/t/away/*.sh 2>/dev/null); do
		named="$named $(/stock/modprobe --show-depends "$m" 2>/dev/null | sed -n 's|^insmod .*/||; s|\.ko.*||p' | tr '-' '_' | tr '\n' ' ')"
	done
	n=0
	while [ $n -lt 8 ]; do
		n=$((n + 1)) some=
		for m in $(newer); do
			[ "$(cat "/sys/module/$m/initstate" 2>/dev/null)" = live ] && [ "$(cat "/sys/module/$m/refcnt" 2>/dev/null)" = 0 ] && ours "$m" || continue
			/stock/rmmod "$m" 2>/dev/null && some=yes
		done
		[ -n "$some" ] || break
	done
	for m in $(newer); do tell "left: module $m, $(cat "/sys/module/$m/initstate" 2>/dev/null)"; done
}

# absent: cases whose modules this machine does not have are not run.
absent() {
	mkdir -p "$here/t/away"
	for f in "$here"/t/away/*.sh; do [ ! -e "$f" ] || mv "$f" "$here/t/cases/"; done
	for f in "$here"/t/cases/*.sh; do
		# shellcheck disable=SC2013 # names
		for m in $(sed -n 's/^# modules: *//p' "$f"); do
			/stock/modprobe -n -q "$m" && continue
			name=${f##*/}
			for phase in check control stock; do
				! grep -q "^$phase()" "$f" || tell "skip|${name%.sh}|$phase|this machine has no module $m"
			done
			mv "$f" "$here/t/away/"
			break
		done
	done
}

# play MODE: a whole run.
play() {
	mode=$1 scale=ci
	read -r about <"$here/about"
	case $about in *"|$kver|"*) ;; *) die "this is kernel $kver, and the archive is for another: $about" ;; esac
	! runs || [ "$(cat "$here/pid.run")" = $$ ] || die "it runs already"
	echo "$boot" >"$here/boot.run"
	echo $$ >"$here/pid.run"
	tell "1|$mode|$about"
	sed -n "s/^$mode|/#T# skip|/p" "$here/skips"
	# Between a mount and its line in the list nothing is undone.
	stop=
	trap 'stop=yes' TERM INT HUP
	enter || { tell "the machine could not be prepared"; leave; exit 1; }
	trap 'tell "ended before its time"; leave; exit 1' TERM INT HUP
	[ -z "$stop" ] || { leave; exit 1; }
	absent
	[ "$mode" = stock ] && helper=/stock/modprobe || helper=/safe/modprobe
	echo "$helper" >/proc/sys/kernel/modprobe
	tell "kernel.modprobe is $helper"
	echo "#E# $(loaded | tr '\n' ' ')"
	# A shell of its own: whoever ends it, or is ended with it, leaves this one, which puts things back.
	export scale SAFELOAD_CASES="$here"
	# shellcheck disable=SC2016 # its own
	/t/busybox sh -c '. /t/lib.sh; run_cases "$1"' cases "$mode" &
	wait $!
	unset SAFELOAD_CASES
	echo "#DMESG#"
	dmesg | tail -n 400
	leave
	tell "everything but what was said to be left is as it was"
	echo "#END#"
}

runs() { [ "$(cat "$here/boot.run" 2>/dev/null)" = "$boot" ] && grep -q run.sh "/proc/$(cat "$here/pid.run" 2>/dev/null)/cmdline" 2>/dev/null; }

start_run() {
	! runs || die "it runs already"
	: >"$here/console"
	echo "$boot" >"$here/boot.run"
	setsid "$here/t/busybox" sh "$here/run.sh" "$1" >"$here/console" 2>&1 </dev/null &
	echo $! >"$here/pid.run"
}

follow() {
	from=$1
	echo "#F#" # what the login says is before it
	while :; do
		# Asked before the size is taken: what it says last is in it then.
		runs && over= || over=yes
		size=$(wc -c <"$here/console") || return 1
		if [ "$size" -gt "$from" ]; then
			tail -c "+$((from + 1))" "$here/console" | head -c $((size - from)) || return 1
			from=$size
		fi
		[ -z "$over" ] || return 0
		usleep 300000
	done
}

case ${1:-safe} in
safe | stock) play "${1:-safe}" ;;
start) start_run "$2" ;;
follow) follow "$2" ;;
stop) ! runs || kill -TERM "$(cat "$here/pid.run")" ;;
undo) ! runs || die "it runs: run.sh stop puts everything back"; leave ;;
reboot) sync; setsid sh -c 'sleep 1; reboot -f' >/dev/null 2>&1 </dev/null & ;;
clean)
	! runs && [ ! -e "$here/undo" ] && ! inside || die "$here is in use: run.sh undo"
	rm -rf "$here"
	;;
*) die "run.sh [safe|stock], or start, follow, stop, undo, reboot, clean" ;;
esac
