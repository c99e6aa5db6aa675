# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a kernel thread asks for its own module while the kernel moves the task that sleeps in its init from one CPU to the other
# kernels: arm-6.12 arm-trixie
# matrix: none
# boot: main
# cpus: 2
# limit: 150
# limit-full: 400
# copies: t1
#
# Of a task that is moved so (since 6.12) se.exec_start is 0: it is not known when it fell asleep. It has to do with chance
# whether one is moved in time, so there are rounds until one was.
setup() { echo "options slreq_t1 req=slreq_t1 via=kthread" | conf moved; }

control() {
	start moved /stock/modprobe slreq_t1
	must_hang moved slreq_t1
}

# owner: what the kernel tells of the tasks that load.
owner() { grep -l '^modprobe (' /proc/[0-9]*/sched; }

check() {
	mkdir -p /etc/safeload.d
	echo "patience 1s" >/etc/safeload.d/moved.conf
	_round=0 _moved=0 _missed=0
	while [ $_round -lt "$(by_scale 12 60)" ] && [ $_moved -lt "$(by_scale 1 20)" ] && [ $_missed = 0 ]; do
		_round=$((_round + 1))
		kmsg_mark
		for _s in 1 2; do start "moved-spin$_s" sh -c 'while :; do :; done'; done
		start moved /t/vmtool moved /safe/modprobe slreq_t1
		wait_for 10 is slreq_t1 coming
		pause 1
		if owner | xargs grep -q '^se.exec_start.*: *0\.000000$'; then _moved=$((_moved + 1)); fi
		finish moved 20
		for _s in 1 2; do kill "$(pid_of "moved-spin$_s")"; done
		if [ "$rc" != 0 ] || ! count "$(kmsg)" "safeload: refused" 1; then
			_missed=1
			log "moved: round $_round: $rc after $(seconds "$took") s"
		fi
		unload slreq_t1
	done
	log "moved: in $_moved of $_round rounds a task that loads had been moved while it slept"
	want "the kernel has moved one" [ $_moved -gt 0 ]
	want "each recursion is refused" [ $_missed = 0 ]
	rm /etc/safeload.d/moved.conf
}
