# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# What a case can use, and the runner. It is run by busybox sh in the guest, as root.
#
# A case is a file with some of these functions:
#   setup    runs first, in every boot: modprobe.d files and the like
#   control  in the stock boot: starts what must hang with kmod (start, then must_hang), and returns
#   check    in the safeload boot: does the same with safeload, and says what must hold (want ...)
#   stock    in the stock boot, one after the other: what kmod does, to compare with (note KEY VALUE)

cases=/t/cases
kver=$(uname -r)

# now: guest time in hundredths of a second. time_now sets now to it, and starts no process.
now() { time_now; echo "$now"; }
time_now() { read -r up _ </proc/uptime; now=$((${up%.*} * 100 + 1${up#*.} - 100)); } # not octal
# pause SECONDS: a sleep that starts no process: what waits for something looks often, and an emulated processor is slow.
# Nobody writes into the pipe.
for _f in pause jobs verdict; do [ -p "/t/$_f" ] || mkfifo "/t/$_f"; done
# shellcheck disable=SC3045 # busybox can
pause() { read -r -t "$1" _ <>/t/pause; :; }
# wake FIFO and sleep_until SECONDS FIFO COMMAND...: who waits looks once and sleeps until he is woken, instead of looking
# twenty times a second, which takes a tenth of an emulated processor. The pipe is open before he looks, so no wake is lost;
# but of two who wait with one pipe only one is woken, hence the seconds.
wake() { echo 1<>"$1"; }
# shellcheck disable=SC3045
sleep_until() {
	_for=$1 _pipe=$2; shift 2
	{ "$@" || read -r -t "$_for" _; } <>"$_pipe"
	"$@"
}
seconds() { echo "$(($1 / 100)).$(printf %02d $(($1 % 100)))"; }
# far SECONDS: a limit for what is to come at all, into far. Where the guest's time counts its instructions, the same work
# takes the same time; where it is the real clock's, others may have the machine, and the limit is three times as far. How
# soon something comes is for a check of its own, with exact before it.
far() { if [ "${clock:-real}" = counted ]; then far=$1; else far=$(($1 * 3)); fi; }
# exact: whether times of this guest are its own: how long something takes can be asked.
exact() { [ "${clock:-real}" = counted ]; }

log() { echo "#L# $*"; }
result() { echo "#R# $1|$2|$3|$4|$5"; }

# start NAME COMMAND...: runs a command in the background in a session of its own.
start() {
	_n=$1; shift
	[ -d /tmp/job ] || mkdir -p /tmp/job
	: >"/tmp/job/$_n.pid"; : >"/tmp/job/$_n.rc" # of one before it
	now >"/tmp/job/$_n.t0"
	setsid sh -c 'n=$1; shift; "$@" >"/tmp/job/$n.out" 2>&1 </dev/null & echo $! >"/tmp/job/$n.pid"; echo 1<>/t/jobs
		wait $!; rc=$?; read -r up _ </proc/uptime; echo "$((${up%.*} * 100 + 1${up#*.} - 100))" >"/tmp/job/$n.t1"; echo $rc >"/tmp/job/$n.rc"; echo 1<>/t/jobs' \
		start "$_n" "$@" &
	while ! sleep_until 1 /t/jobs [ -s "/tmp/job/$_n.pid" ]; do :; done
}
pid_of() { cat "/tmp/job/$1.pid"; }
ended() { [ -s "/tmp/job/$1.rc" ]; }

# finish NAME SECONDS: waits for a started command, at most that long (far). Sets rc (or "hang"), out (a file), took (hundredths).
finish() {
	far "$2"
	time_now
	_finish=$((now + far * 100)) out=/tmp/job/$1.out
	while ! ended "$1" && time_now && [ "$now" -lt "$_finish" ]; do sleep_until 1 /t/jobs ended "$1"; done
	if ended "$1"; then rc=$(cat "/tmp/job/$1.rc"); took=$(($(cat "/tmp/job/$1.t1") - $(cat "/tmp/job/$1.t0")))
	else rc=hang took=$(($(now) - $(cat "/tmp/job/$1.t0"))); fi
}
# run SECONDS COMMAND...: both together.
run() { _s=$1; shift; start "run.$$" "$@"; finish "run.$$" "$_s"; }

# state MODULE: absent, coming, live or going, as the kernel says.
state() {
	if [ -e "/sys/module/$1/initstate" ]; then cat "/sys/module/$1/initstate"; else echo absent; fi
}
# wait_for SECONDS COMMAND...: waits for a command to succeed, at most that long (far). It looks twenty times in the first
# second, then five times in each.
wait_for() {
	far "$1"; shift
	time_now
	_end=$((now + far * 100)) _nth=0
	while ! "$@" >/dev/null 2>&1; do
		if [ $((_nth += 1)) -le 20 ]; then pause 0.05; continue; fi
		time_now
		[ "$now" -lt "$_end" ] || return 1
		pause 0.2
	done
}
is() {
	_is=absent
	# A module may go between the one and the other.
	if [ -e "/sys/module/$1/initstate" ]; then { read -r _is <"/sys/module/$1/initstate"; } 2>/dev/null; fi
	[ "$_is" = "$2" ]
}

# diagnose_until SECONDS COMMAND...: safeload diagnose, again and again until the command says that it is enough. What stands
# still is told by how long: after three looks each next one is two seconds later.
diagnose_until() {
	far "$1"; shift
	time_now
	_until=$((now + far * 100))
	_gap=0.3 _nth=0
	run 40 /safe/safeload diagnose
	while ! "$@" && time_now && [ "$now" -lt "$_until" ]; do
		[ $((_nth += 1)) -lt 3 ] || _gap=2
		pause $_gap
		run 40 /safe/safeload diagnose
	done
}
ends_with() { [ "$rc" = "$1" ]; }

# want TEXT COMMAND...: one thing that must hold.
want() {
	_w=$1; shift
	wants=$((wants + 1))
	if "$@"; then log "$case: ok: $_w"; else log "$case: NOT SO: $_w ($*)"; bad="${bad:+$bad; }$_w"; fi
}
not() { ! "$@"; }
has() { grep -q -e "$2" "$1"; }
lacks() { ! grep -q -e "$2" "$1"; }
count() { [ "$(grep -c -e "$2" "$1")" -eq "$3" ]; }

# gotest NAME SECONDS [ARG...]: the Go tests of a package (header "# tests: PACKAGE"; '/' in it becomes '_').
gotest() {
	_test=$1 _s=$2; shift 2
	mkdir -p /tmp/gotest
	start "$case-$_test" sh -c 'cd /tmp/gotest; exec "$0" -test.v "$@"' "/t/files/$_test.test" "$@"
	finish "$case-$_test" "$_s"
	grep -e '^ *--- ' -e '^panic' -e '^PASS' -e '^FAIL' "$out" | sed "s/^/#L# $case: /"
	want "$_test: its tests pass" [ "$rc" = 0 ]
	want "$_test: some test ran" has "$out" "^--- PASS"
	want "$_test: none was skipped" lacks "$out" "^ *--- SKIP"
}

# kmsg_mark and kmsg: what the kernel's log got since the mark, in a file.
kmsg_mark() { rm -f /run/safeload/said; marked=$(dmesg | wc -l); } # lines a minute are limited
kmsg() { dmesg | tail -n "+$((marked + 1))" >/tmp/kmsg.$$; echo /tmp/kmsg.$$; }
# by_scale CI FULL: the one or the other, as vm-test.sh was called without or with --full.
by_scale() { if [ "$scale" = full ]; then echo "$2"; else echo "$1"; fi; }

# proven: no refusal since the mark was made on suspicion, after patience.
proven() { lacks "$(kmsg)" "suspected"; }

# helper_for NAME: whether the kernel's own modprobe for that is there.
helper_for() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -q "[-]q -- $1"; }

# conf NAME: the modprobe.d file of a case, from standard input.
conf() { cat >"/etc/modprobe.d/$1.conf"; }
# note KEY VALUE: something that the host compares between the stock and the safeload boot.
note() { echo "#N# $case|$1|$2"; }
helper() { echo "$1" >/proc/sys/kernel/modprobe; }
# unload MODULE...: whatever of these is loaded.
unload() { for _m; do [ -e "/sys/module/$_m" ] && /stock/rmmod "$_m"; done 2>/dev/null; return 0; }

# must_hang NAME MODULE...: a control: the started command must still run, and the modules still be
# coming, when the time is up. must_end NAME: the contrary, for what kmod does well.
must_hang() { _n=$1; shift; echo "$case|hang|$_n|$*" >>/tmp/controls; }
must_end() { echo "$case|end|$1|" >>/tmp/controls; }
hang_seconds=31

# explain CASE: who sleeps where, and the end of the kernel's log.
explain() {
	[ ! -s /tmp/hold/server ] || kill -9 "$(cat /tmp/hold/server)" # or what is read here may never end: see vmtool hold
	log "--- $1: processes of user space: pid, parent, state, where it sleeps, command"
	for _p in /proc/[0-9]*; do
		_cmd=$(tr '\0' ' ' <"$_p/cmdline" 2>/dev/null | cut -c1-80)
		[ -n "$_cmd" ] || continue
		log "$(awk '/^Pid|^PPid|^State/ {printf "%s ", $2}' "$_p/status" 2>/dev/null)$(cat "$_p/wchan" 2>/dev/null) $_cmd"
	done
	for _p in /proc/[0-9]*; do
		case $(cat "$_p/wchan" 2>/dev/null) in
		*usermodehelper*) [ -s "$_p/cmdline" ] || log "kernel thread ${_p#/proc/} $(cat "$_p/comm") waits for a helper" ;;
		esac
	done
	dmesg | tail -n 15 | sed 's/^/#L# /'
}

# one FUNCTION: runs a function of the case in $case, within the case's time limit.
one() {
	_limit=$(sed -n 's/^# limit: *//p' "$cases/$case.sh")
	_full=$(sed -n 's/^# limit-full: *//p' "$cases/$case.sh")
	[ "$scale" != full ] || _limit=${_full:-$_limit}
	far "${_limit:-60}"
	_t0=$(now) _limit=$far
	: >/tmp/verdict
	(
		wants=0 bad=
		"$1"
		if [ -n "$skipped" ]; then echo "skip|$skipped"
		elif [ "$wants" = 0 ] && [ "$1" = check ]; then echo "fail|nothing was checked"
		elif [ -n "$bad" ]; then echo "fail|$bad"
		else echo "pass|$wants checks"; fi >/tmp/verdict.new
		mv /tmp/verdict.new /tmp/verdict
		wake /t/verdict
	) &
	_pid=$!
	_end=$((_t0 + _limit * 100))
	while time_now; [ "$now" -lt "$_end" ] && ! sleep_until 2 /t/verdict [ -s /tmp/verdict ]; do
		[ -d "/proc/$_pid" ] || [ -s /tmp/verdict ] || { echo "fail|the case's shell died" >/tmp/verdict; }
	done
	if [ ! -s /tmp/verdict ]; then
		echo "fail|did not end within $_limit s" >/tmp/verdict
		explain "$case"
		kill -9 "$_pid" 2>/dev/null
	fi
	IFS='|' read -r _v _text </tmp/verdict
	if [ "$_v" = fail ]; then
		explain "$case"
		for _o in /tmp/job/"$case"*.out /tmp/job/run.*.out; do
			[ -s "$_o" ] && head -n 8 "$_o" | sed "s|^|#L# $case: ${_o##*/}: |"
		done
	fi
	result "$case" "$1" "$_v" "$(seconds $(($(now) - _t0)))" "$_text"
}

defines() { grep -q "^$1()" "$cases/$case.sh"; }
# Each case's file is read in a subshell of its own, so that cases cannot disturb each other.
with_case() { (. "$cases/$case.sh"; "$@"); }

run_cases() {
	: >/tmp/controls
	for f in "$cases"/*.sh; do
		case=$(basename "$f" .sh)
		if defines setup; then with_case setup; fi
	done
	if [ "$1" = safe ]; then
		for f in "$cases"/*.sh; do
			case=$(basename "$f" .sh)
			if defines check; then with_case one check; fi
		done
		return
	fi
	for f in "$cases"/*.sh; do
		case=$(basename "$f" .sh)
		if defines stock; then with_case one stock; fi
	done
	for f in "$cases"/*.sh; do
		case=$(basename "$f" .sh)
		if defines control; then with_case control; fi
	done
	[ ! -s /tmp/controls ] && return
	# What hangs does so from here on: a slow machine may have come this far only now.
	while IFS='|' read -r case kind name mods; do
		for m in $mods; do wait_for 30 is "$m" coming; done
	done </tmp/controls
	sleep $hang_seconds
	while IFS='|' read -r case kind name mods; do
		[ "$kind" = hang ] && finish "$name" 0 || finish "$name" 30
		v=pass
		if [ "$kind" = hang ]; then
			text="kmod hung: $(seconds "$took") s and still waiting"
			[ "$rc" = hang ] || { v=fail; text="kmod was expected to hang, but ended with $rc after $(seconds "$took") s: $(head -c 200 "$out")"; }
			for m in $mods; do is "$m" coming || { v=fail; text="$text; $m is $(state "$m"), not coming"; }; done
		else
			text="kmod ended with $rc after $(seconds "$took") s"
			[ "$rc" != hang ] || v=fail
		fi
		[ $v = pass ] || explain "$case"
		result "$case" control $v "$(seconds "$took")" "$text"
	done </tmp/controls
	: >/tmp/controls.over
}

# watch_begin ARG...: safeload watch --json in the background, until watch_end; its lines in $watched.
# It has said that everything is attached when this returns.
watched=/tmp/job/watch.out
watch_begin() {
	start watch /safe/safeload watch --json --ready-file /run/watch.ready "$@"
	wait_for 240 grep -qx "$(pid_of watch)" /run/watch.ready || { log "watch is not ready: $(head -c 400 "$watched")"; return 1; }
}
watch_end() {
	kill -TERM "$(pid_of watch)"
	finish watch 20
}
# seen TYPE TEXT: how many lines of a type have a text (a grep pattern) in them.
seen() { grep "\"type\":\"$1\"" "$watched" | grep -c -e "$2"; }
# sees TYPE TEXT [COUNT]: waits until that many lines (one, if not said) are there: the watch writes when it has signalled,
# and a load that was freed may end before.
sees() { wait_for 30 enough "$1" "$2" "${3:-1}"; }
enough() { [ "$(seen "$1" "$2")" -ge "$3" ]; }
# largest FIELD: the largest value of a number in what the watch said.
largest() { grep -o "\"$1\":[0-9]*" "$watched" | cut -d: -f2 | sort -n | tail -1; }

# storm_conf: the modules that vmtool storm loads: one slow one, and ten that the kernel asks for by an alias as well.
storm_conf() {
	echo "options slreq_o0 hold_ms=700"
	for _i in 0 1 2 3 4 5 6 7 8 9; do
		echo "options slreq_q$_i hold_ms=500"
		echo "alias fs-storm-$_i slreq_q$_i"
	done
}

# incident_setup and incident_check: what the cases of aes-arm-bs share. The requester is a kernel thread of the
# crypto core. There are 60 s: then the kernel gives the algorithm up for good, although the module is live. So only
# /proc/crypto and a known answer prove anything.
incident_setup() {
	case $kver in 6.1.*) echo "alias crypto-cbc(aes) aes_arm_bs" | conf incident ;; esac
	/stock/modprobe crypto_user
	/stock/modprobe algif_skcipher
	# What boot left instantiated would serve as the fallback, and nothing would be requested.
	/t/vmtool delalg "cbc(ecb(aes-generic))" "cbc(aes-generic)" "ctr(aes-generic)" "ecb(aes-generic)"
}

# stranger NAME NEED KNOB [PARAM...]: $modprobe loads a slow init, which waits for a work item of its own, and a second
# later somebody whom no load has started has the kernel ask for it: a work item (by_work) or a kernel thread (by_thread).
stranger() {
	_as=$1 _need=$2 _knob=$3; shift 3
	kmsg_mark
	start "$case-$_as" "$modprobe" slneed need="$_need" ms=15000 "$@"
	wait_for 30 is slneed coming
	sleep 1 # its init falls asleep
	echo slneed >"/sys/module/slhub/parameters/$_knob"
	finish "$case-$_as" 60
	want "$_as: modprobe ends with 0" [ "$rc" = 0 ]
	want "$_as: the module is live" is slneed live
	want "$_as: the request ends" wait_for 10 logged "slhub: slneed returned"
	want "$_as: it returns 0" logged "slhub: slneed returned 0"
	want "$_as: none refused" not logged "safeload: refused"
	unload slneed
}
logged() { has "$(kmsg)" "$1"; }

# trials_setup: what trials needs; the same for each case that has it, as they share a guest.
trials_setup() {
	conf evidence <<-END
		options slreq_e0 req=slreq_e0 via=kthread
		options slreq_e1 req=slreq_e1 via=work
		alias crypto-slx slneed
	END
}

# trials STRANGERS RECURSIONS: how many of each are refused (vmtool evidence), with a patience of 1 s.
trials() {
	mkdir -p /etc/safeload.d
	{ echo "patience 1s"; echo "policy ${EVIDENCE_POLICY:-refuse}"; } >/etc/safeload.d/evidence.conf
	for _m in slhub algif_skcipher cbc; do /stock/modprobe "$_m"; done
	{ /t/vmtool evidence -strangers "$1" -true "$2" 2>&1; echo $? >/tmp/trials.rc; } |
		while read -r _line; do log "$case: $_line"; done
	want "no stranger is refused, and everybody who waits for himself is" [ "$(cat /tmp/trials.rc)" = 0 ]
	rm /etc/safeload.d/evidence.conf
	unload slhub
}

# crypto DRIVER FIELD: a field of /proc/crypto.
crypto() { awk -v d="$1" -v f="$2" '/^driver/ {on = $3 == d} on && $1 == f {print $3}' /proc/crypto | sort -u | tr '\n' ' ' | sed 's/ $//'; }

# incident_check HUNDREDTHS: the load ends well, within that time where it can be asked.
incident_check() {
	want "nothing is loaded yet" is aes_arm_bs absent
	kmsg_mark
	start incident /safe/modprobe aes_arm_bs
	finish incident 50
	want "modprobe ends with 0" [ "$rc" = 0 ]
	log "$case: modprobe took $(seconds "$took") s"
	! exact || want "within $(seconds "$1") s" [ "$took" -le "$1" ]
	want "the module is live" is aes_arm_bs live
	want "cbc-aes-neonbs passed its self-test" [ "$(crypto cbc-aes-neonbs selftest)" = passed ]
	want "an encryption through it gives the published answer" /t/vmtool algkat cbc-aes-neonbs
	# 6.1 finds aes-generic and asks for no other cipher.
	case $kver in
	6.1.*) ;;
	*) want "the better fallback aes-arm is loaded: only the recursive request was refused" is aes_arm live ;;
	esac
	want "a refusal is on record" has "$(kmsg)" "safeload: refused.*aes_arm_bs"
	grep 'safeload:' "$(kmsg)" | sed "s/^/#L# $case: /"
}
