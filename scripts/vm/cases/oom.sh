# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a machine whose memory is eaten, and one that commits no more (vm.overcommit_memory=2): loads go as with kmod, none hangs, and all is right after
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: oom
# memory: 256
# limit: 300
# copies: z0 z1 z2
setup() {
	{
		echo "options slreq_z0 hold_ms=2500"
		echo "options slreq_z2 req=slreq_z2"
	} | conf oom
	printf '#!/bin/sh\necho 500 >/proc/self/oom_score_adj\nexec "$@"\n' >$mortal
	chmod 755 $mortal
}

# What runs by it may be killed for its memory; the case itself, and what runs the case, must not be.
mortal=/tmp/mortal
immortal() {
	read -r _p _ </proc/self/stat
	while [ "${_p:-0}" -gt 0 ]; do
		echo -1000 >"/proc/$_p/oom_score_adj"
		_p=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$_p/status")
	done
}

field() { awk -v f="$1:" '$1 == f {print $2}' /proc/meminfo; }

# eat KB: fills a tmpfs, which nothing can be won back from, until no more than so much memory is free.
eat() {
	while _f=$(field MemFree); [ "$_f" -gt "$1" ]; do
		$mortal dd if=/dev/zero bs=64k count=$(((_f - $1) / 128 + 1)) 2>/dev/null >>/tmp/eat/food || return 1
	done
}

# loads TOOL: how three loads end: a slow one, one beside it of the same module, and one alone.
loads() {
	start oom-slow $mortal "$1" slreq_z0
	wait_for 20 is slreq_z0 coming
	start oom-beside $mortal "$1" slreq_z0
	finish oom-beside 40; _beside=$rc
	cp "$out" /tmp/oom.said
	finish oom-slow 40; _slow=$rc
	start oom-alone $mortal "$1" slreq_z1
	finish oom-alone 40
	unload slreq_z0 slreq_z1
	ends="$_slow $_beside $rc"
}

# compared TEXT: kmod's loads, then safeload's, which must end as well as kmod's.
compared() {
	loads /stock/modprobe; _kmod=$ends
	loads /safe/modprobe
	log "oom: $1: slow, beside and alone end with: kmod $_kmod, safeload $ends$(sed 's/^/; it says: /' /tmp/oom.said | head -n 1)"
	want "$1: as with kmod" as_well
	want "$1: no Go program died" lacks /tmp/oom.said "fatal error\|goroutine"
	absent "$1"
}

# absent TEXT: a name that exists nowhere is answered before Go's runtime starts, which has more page faults, as has kmod.
# A question that is not looked at there (-a) is the control.
absent() {
	timed -q -- oom-nonesuch
	want "$1: a name that exists nowhere ends with 1" [ "$_code" = 1 ]
	want "$1: nothing was said of it" [ "$(wc -l </tmp/oom.time)" -eq 2 ] # both are time's
	want "$1: it was answered before the runtime ($_faults page faults)" [ "${_faults:-999}" -lt 60 ]
	timed -a -q -- oom-nonesuch
	want "$1: with -a it ends with 1, too" [ "$_code" = 1 ]
	want "$1: with -a the runtime or kmod answers ($_faults page faults)" [ "${_faults:-0}" -ge 60 ]
}
# timed ARG...: safeload's exit code and page faults, after what it said.
timed() {
	$mortal busybox time -f "%x %R" /safe/modprobe "$@" 2>/tmp/oom.time
	read -r _code _faults <<-EOF
	$(tail -n 1 /tmp/oom.time)
	EOF
}
# shellcheck disable=SC2086 # a list
as_well() { set -- $_kmod $ends; { [ "$1" != 0 ] || [ "$4" = 0 ]; } && { [ "$2" != 0 ] || [ "$5" = 0 ]; } && { [ "$3" != 0 ] || [ "$6" = 0 ]; } && [ "${ends#*hang}" = "$ends" ]; }

recursion() {
	kmsg_mark
	start oom-self $mortal /safe/modprobe slreq_z2
	finish oom-self 60
	want "$1: a recursion ends with 0" [ "$rc" = 0 ]
	want "$1: one refusal" count "$(kmsg)" "safeload: refused" 1
	unload slreq_z2
}

check() {
	immortal
	echo 0 >/proc/sys/vm/watermark_boost_factor # otherwise some machines call 9 MB no memory at all
	mkdir -p /tmp/eat
	mount -t tmpfs -o size=100% eat /tmp/eat
	for _left in 32000 16000 10000 8000 6000; do
		want "$_left kB free: the rest is eaten" eat $_left
		compared "$_left kB free"
		recursion "$_left kB free"
	done
	rm /tmp/eat/food
	umount /tmp/eat
	compared "memory is back"
	recursion "memory is back"

	for _more in 200000 100000 60000 40000 20000 10000; do
		echo $(($(field Committed_AS) + _more)) >/proc/sys/vm/overcommit_kbytes
		echo 2 >/proc/sys/vm/overcommit_memory
		compared "$_more kB to commit"
		# Go's runtime needs some 80 MB there, of 32 bits some 24.
		[ $_more -lt 200000 ] || recursion "$_more kB to commit"
		case $_more in
		10000) want "$_more kB to commit: one line says that kmod loads" count /tmp/oom.said "^safeload: guard: too little memory can be had to start; loading by kmod" 1 ;;
		esac
		echo 0 >/proc/sys/vm/overcommit_memory
	done
	compared "commitment is back"
	recursion "commitment is back"
	want "no entry is left" [ -z "$(find /run/safeload -name '[0-9]*.[0-9]*')" ]
}
