# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload diagnose on live hangs of kmod in every topology: what it says, and that --free ends them; slow is called slow
# kernels: all
# matrix: arm-6.12 arm-6.1 amd64-newest *-own
# boot: diagnose
# limit: 400
# modules: tcrypt
# tests: bpf
# copies: u0 u1 u2 u3 u4 u5 u6 u7 u8 u9 uk uw us ua ub uc ui uj n0 n1 n2 n3 n4 n5 n6 n7 n8 n9 m0 m1 m2 m3 m4 m5 m6 m7 m8 m9
#
# kmod is the helper here and does every load: nothing of safeload is in the way before diagnose looks.
setup() {
	echo "alias crypto-recurse tcrypt" | conf tcrypt
	{
		far 9
		echo "options slreq_us delay_ms=$((far * 1000))"
		echo "options slreq_u0 req=slreq_u0"
		cyclic u1 u2
		cyclic u3 u4 u5 u6 u7
		cyclic n0 n1 n2 n3 n4 n5 n6 n7 n8 n9 m0 m1 m2 m3 m4 m5 m6 m7 m8 m9
		echo "options slreq_u8 req=slreq_u9 delay_ms=1500"
		echo "options slreq_u9 req=slreq_u8 delay_ms=1500"
		echo "options slreq_uk req=slreq_uk via=kthread"
		echo "options slreq_uw req=slreq_uw via=work"
		echo "options slreq_ui req=diagnose-ui"
		echo "install diagnose-ui /bin/sh -c 'env -i /stock/modprobe -q slreq_ui'"
		echo "options slreq_uj req=diagnose-uj"
		echo "install diagnose-uj /bin/sh -c 'setsid env -i /stock/modprobe -q slreq_uj & wait'"
	} | conf diagnose
}
# cyclic NAME...: options by which each asks for the next and the last for the first.
cyclic() {
	_first=$1
	while [ $# -gt 1 ]; do echo "options slreq_$1 req=slreq_$2"; shift; done
	echo "options slreq_$1 req=slreq_$_first"
}

# field FILE NAME: a number of the line that vmtool repeat ends with.
field() { sed -n "s/^runs.* $2 \([0-9]*\).*/\1/p" "$1"; }

# cost WHAT CODE: how long it takes with many processes more, beside busybox's ps. A measurement is that of --full.
cost() {
	_i=0 _all='' _more=$(by_scale 100 500) _n=$(by_scale 1 3)
	while [ $_i -lt "$_more" ]; do sleep 1000 & _all="$_all $!"; _i=$((_i + 1)); done
	/t/vmtool repeat -n "$_n" -want "$2" -- /safe/safeload diagnose >/tmp/diagnose.ours
	/t/vmtool repeat -n "$_n" -- /bin/busybox ps -o pid,ppid,stat,args >/tmp/diagnose.ps
	log "diagnose: $1, with $_more processes more: $(field /tmp/diagnose.ours median-ms) ms; busybox ps $(field /tmp/diagnose.ps median-ms) ms"
	want "$1, with $_more processes more: exit $2" grep -q "as-wanted $_n " /tmp/diagnose.ours
	want "and the peer ran" grep -q "as-wanted $_n " /tmp/diagnose.ps
	# shellcheck disable=SC2086 # a list
	kill $_all
}

control() {
	start diagnose-self /stock/modprobe slreq_u0
	start diagnose-work /stock/modprobe slreq_uw
	must_hang diagnose-self slreq_u0
	must_hang diagnose-work slreq_uw
}

diagnose() { run 40 /safe/safeload diagnose "$@"; }
shown() { sed "s/^/#L# diagnose: /" "$out"; }
found() { [ "$rc" = 3 ] && has "$out" "$1"; }

# look SECONDS TEXT: diagnoses until that is found.
look() {
	diagnose_until "$1" found "$2"
	shown
}

# early NAME MODULE: a load that hangs is looked at as soon as it is coming. Where the machine is others' as well, that may
# be late, and it is begun again.
early() {
	_tries=0
	while start "$1" /stock/modprobe "$2"; wait_for 30 is "$2" coming; diagnose; [ "$rc" != 0 ] && ! exact && [ $_tries -lt 5 ]; do
		_tries=$((_tries + 1))
		diagnose --free
		finish "$1" 30
		unload "$2"
	done
}

# hang NAME CERTAINTY MODULE...: the load started as NAME hangs; diagnose says so and frees it.
hang() {
	_name=$1 _sure=$2; shift 2
	look 40 "^FOUND ($_sure): the load of slreq_"
	want "$_name: found, $_sure" found "^FOUND ($_sure): the load of slreq_"
	# Which helper is whose cannot be seen for certain of two that ask at once: then it may look like two circles.
	[ "$_name" = crossing ] || want "$_name: one circle" count "$out" "^FOUND" 1
	want "$_name: each of it with its evidence" has "$out" "evidence: state [DS], in "
	want "$_name: what holds it" has "$out" "held by: request_module"
	want "$_name: how to free it" has "$out" "to free it now: kill -TERM [0-9]"
	case $_name in five | crossing) diagnose --dot; sed "s/^/#L# dot-$_name: /" "$out" ;; esac
	diagnose --free
	want "$_name: --free says what it ended" has "$out" "^free: ended pid [0-9]* (modprobe), which waited for slreq_.* by signal 15"
	want "$_name: one load, not more" count "$out" "^free: ended" 1
	want "$_name: and that this was all" has "$out" "^free: no load waits for itself any more"
	finish "$_name" 30
	want "$_name: its load ends with 0 after --free" [ "$rc" = 0 ]
	for _x; do want "$_name: slreq_$_x is live" is "slreq_$_x" live; done
	for _x; do unload "slreq_$_x"; done
}

check() {
	helper /stock/modprobe
	gotest bpf 120 -test.run 'Stack'
	diagnose
	want "a healthy system: exit 0" [ "$rc" = 0 ]
	want "and it says so" has "$out" "^No load waits for itself"
	cost "nothing loads" 0

	start slow /stock/modprobe slreq_us
	start second /stock/modprobe slreq_us
	wait_for 30 is slreq_us coming
	diagnose
	shown
	want "slow: exit 0" [ "$rc" = 0 ]
	want "slow is called slow, with what it sleeps in" has "$out" "Slow, not stuck.*slreq_us.*sleeps in msleep"
	finish slow 20

	start tcrypt /stock/modprobe tcrypt alg=recurse
	look 20 "^FOUND (certain): the load of tcrypt waits for itself"
	want "tcrypt: found, certain" found "^FOUND (certain): the load of tcrypt waits for itself"
	want "tcrypt: its parameters" has "$out" "loads tcrypt (coming) with alg=recurse"
	want "tcrypt: a known case" has "$out" "known case:"
	diagnose --json
	want "as JSON" has "$out" '"type":"finding","module":"tcrypt","certainty":"certain"'
	want "each line of it is as the schema says" /t/vmtool jsonl survey "$out"
	diagnose --dot
	sed 's/^/#L# dot: /' "$out"
	want "as a graph" has "$out" "color=red"
	diagnose --svg
	want "as a picture" has "$out" "^</svg>"
	want "the picture says in words what it shows" has "$out" "id=.d.>The load of tcrypt waits for itself"
	diagnose --free
	want "--free says what it ended" has "$out" "^free: ended pid"
	finish tcrypt 20
	want "tcrypt's load has ended" [ "$rc" != hang ]

	start self /stock/modprobe slreq_u0
	if [ -e /sys/kernel/btf/vmlinux ]; then # where /proc shows no stack, a task iterator does
		look 20 "^FOUND"
		mount --bind /dev/null "/proc/$(pid_of self)/stack"
		diagnose
		want "a stack that /proc does not show" [ "$(grep -c 'slreq_init+.*slreq_u0' "$out")" = 1 ]
		umount "/proc/$(pid_of self)/stack"
	fi
	look 20 "^FOUND (certain)"
	cost "a load hangs" 3
	hang self certain u0
	start two /stock/modprobe slreq_u1
	hang two certain u1 u2
	start five /stock/modprobe slreq_u3
	hang five certain u3 u4 u5 u6 u7
	start twenty /stock/modprobe slreq_n0
	hang twenty certain n0 n1 n2 n3 n4 n5 n6 n7 n8 n9 m0 m1 m2 m3 m4 m5 m6 m7 m8 m9

	# Two tasks, each with a load and a helper of its own, in one circle.
	start crossing /stock/modprobe slreq_u8
	start crossed /stock/modprobe slreq_u9
	hang crossing certain u8 u9
	finish crossed 20
	want "crossing: the other load has ended, too" [ "$rc" = 0 ]

	_dir=/lib/modules/$kver/updates
	start insmod /stock/insmod "$_dir/slreq_ua.ko" req=slreq_ua
	hang insmod certain ua
	start busybox /bin/busybox insmod "$_dir/slreq_ub.ko" req=slreq_ub
	hang busybox certain ub
	start inprocess /t/vmtool load "$_dir/slreq_uc.ko" req=slreq_uc
	hang inprocess certain uc

	start command /stock/modprobe slreq_ui
	hang command certain ui
	start setsid /stock/modprobe slreq_uj
	# A shell in its builtin wait: that it waits for its child is likely, not certain.
	hang setsid likely uj

	# Nothing in /proc leads from a kernel thread or a work item to the load that waits for it.
	early thread slreq_uk
	want "thread: nothing is said too early" [ "$rc" = 0 ]
	hang thread likely uk
	start work /stock/modprobe slreq_uw
	hang work likely uw
	diagnose
	want "healthy again" [ "$rc" = 0 ]
	helper /safe/modprobe

	unload slreq_us
	start slow /safe/modprobe slreq_us
	wait_for 30 is slreq_us coming
	run 20 /safe/safeload status
	sed 's/^/#L# status: /' "$out"
	want "status lists the load" has "$out" "loads slreq_us (coming)"
	want "status names its token" has "$out" "token [0-9a-f]*"
	run 20 /safe/safeload status --json
	want "status as JSON" has "$out" '"type":"verdicts"'
	want "each line of it is as the schema says" /t/vmtool jsonl survey "$out"
	finish slow 20
	unload slreq_us
}
