# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a user's tasks that cannot be asked for anything, held in execve by his own FUSE server: nobody waits for them
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: held
# icount: 1
# limit: 400
# modules: fuse
# copies: c0 c1
setup() {
	/stock/modprobe fuse
	{
		echo "options slreq_c0 req=slreq_c0"
		echo "options slreq_c1 hold_ms=4000"
		echo "install slreq_held /bin/busybox sleep 2"
	} | conf held
}

# hold: some of them have all capabilities in a user namespace of their own, some none, some wait in state D.
hold() {
	start held /t/vmtool hold /tmp/hold 16
	wait_for 60 [ -s /tmp/hold/held ] || log "held: $(cat /tmp/job/held.out)"
	want "sixteen tasks are held" [ "$(wc -l </tmp/hold/held)" = 16 ]
	one=$(head -n 1 /tmp/hold/held)
}
let_go() { kill -9 "$(cat /tmp/hold/server)"; }

# locked: the first of them has its new memory, and so the lock. From some 6.12.x on files are closed before that.
locked() { grep -q "^VmExe:[^0-9]*0 kB" "/proc/$one/status"; }

control() {
	hold
	start held-syscall cat "/proc/$one/syscall"
	start held-stat cat "/proc/$one/stat"
	start held-status cat "/proc/$one/status"
	if locked; then must_hang held-syscall; else must_end held-syscall; fi
	must_end held-status
	start held-cmdline cat "/proc/$(cat /tmp/hold/mapped)/cmdline"
	must_hang held-cmdline
	finish held-stat 10
	log "held: cat /proc/PID/stat: $(if [ "$rc" = hang ]; then echo hangs; else echo ends; fi)"
	locked || want "without the lock it ends" [ "$rc" = 0 ]
}

# timed WHAT COMMAND...: how long it takes, in $took, and that it ends with what $wanted is.
timed() {
	_what=$1; shift
	run 120 "$@"
	log "held: $_what: $rc after $(seconds "$took") s"
	want "$_what ends with $wanted" [ "$rc" = "$wanted" ]
}

# lookers WHEN: what is to take as long as ever, into a variable WHEN_WHAT each.
lookers() {
	wanted=0
	timed "$1 status" /safe/safeload status; eval "${1}_status=$took"
	timed "$1 diagnose" /safe/safeload diagnose; eval "${1}_diagnose=$took"
	kmsg_mark
	timed "$1 a load of itself" /safe/modprobe slreq_c0; eval "${1}_self=$took"
	want "$1: one refusal" count "$(kmsg)" "safeload: refused" 1
	want "$1: proven, not suspected" proven
	unload slreq_c0
	start slow /safe/modprobe slreq_c1
	wait_for 30 is slreq_c1 coming
	timed "$1 a load that waits for another" /safe/modprobe slreq_c1; eval "${1}_wait=$took"
	finish slow 60
	unload slreq_c1
}

# ordered: an install command, while a module is coming.
ordered() {
	start slow /safe/modprobe slreq_c1
	wait_for 30 is slreq_c1 coming
	timed "below a held task: an install command" /bin/busybox sh /tmp/hold/parent /safe/modprobe slreq_held
	want "it takes no longer than its sleep of 2 s and 2 s more" [ "$took" -le 400 ]
	finish slow 60
	unload slreq_c1
}

# with_watch WHEN: how long a watch takes to begin, and a load of itself with it.
with_watch() {
	_t0=$(now)
	want "$1: the watch starts" watch_begin
	eval "${1}_watch=\$((\$(now) - _t0))"
	timed "$1 a load of itself, watched" /safe/modprobe slreq_c0; eval "${1}_watched=$took"
	unload slreq_c0
	watch_end
	want "$1: the watch ends with 0" [ "$rc" = 0 ]
}

# parent COMMAND...: how to run it, as root, below a task that is held.
parent() {
	chmod 755 /tmp/hold
	cat >/tmp/hold/below <<-'EOF'
		until ls /tmp/hold/flush.*; do usleep 10000; done
		"$@"; echo $? >/tmp/hold/rc
	EOF
	cat >/tmp/hold/parent <<-'EOF'
		rm -f /tmp/hold/rc /tmp/hold/flush.*
		/t/vmtool hold parent /tmp/hold /bin/busybox sh /tmp/hold/below "$@" &
		while [ ! -s /tmp/hold/rc ]; do usleep 20000; done
		exit "$(cat /tmp/hold/rc)"
	EOF
}

check() {
	lookers free
	with_watch free

	hold
	lookers held
	parent
	for _k in status diagnose self wait; do
		eval "_free=\$free_$_k _held=\$held_$_k"
		want "$_k: at most 2 s more" [ "$_held" -le $((_free + 200)) ]
	done
	run 60 /bin/busybox sh /tmp/hold/parent /safe/modprobe slreq_c0
	log "held: below a held task: a load of itself: $rc after $(seconds "$took") s"
	want "below a held task: a load of itself ends with 0" [ "$rc" = 0 ]
	want "below a held task: at most 2 s more" [ "$took" -le $((free_self + 200)) ]
	unload slreq_c0
	start slow /safe/modprobe slreq_c1
	wait_for 30 is slreq_c1 coming
	run 60 /bin/busybox sh /tmp/hold/parent /safe/modprobe slreq_c1
	log "held: below a held task: a load that waits for another: $rc after $(seconds "$took") s"
	want "below a held task: a load that waits for another ends with 0" [ "$rc" = 0 ]
	want "below a held task: at most 2 s more, too" [ "$took" -le $((free_wait + 200)) ]
	finish slow 60
	unload slreq_c1

	ordered
	with_watch held
	want "watch starts within 2 s more" [ "$held_watch" -le $((free_watch + 200)) ]
	want "with watch: at most 2 s more" [ "$held_watched" -le $((free_watched + 200)) ]
	let_go
}
