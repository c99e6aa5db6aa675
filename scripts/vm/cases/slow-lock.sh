# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a load that waits half a minute for a lock that a slow but living task holds: 1,000 runs of diagnose (6 without --full), none finds it
# kernels: all
# matrix: none
# boot: slowlock
# icount: 1
# limit: 400
# limit-full: 20000
# copies: w0
setup() {
	conf slow-lock <<-EOF
		options slreq_w0 need=lock
	EOF
}

# Only a run counts that began and ended while the lock was held. Where time counts instructions, what nobody computes in
# takes none: the waits of the load, of who holds the lock, and of diagnose.
check() {
	helper /stock/modprobe
	/stock/modprobe slhub
	_runs=$(by_scale 6 1000) _count=0 _round=0
	while [ $_count -lt "$_runs" ]; do
		_round=$((_round + 1))
		start slow sh -c "echo 30000 >/sys/module/slhub/parameters/slow"
		pause 0.2
		start waits /stock/modprobe slreq_w0
		wait_for 20 is slreq_w0 coming
		_held=0
		while ! ended slow; do
			run 60 /safe/safeload diagnose
			if [ "$rc" != 0 ]; then
				sed 's/^/#L# slow-lock: /' "$out"
				want "run $_count, round $_round: nothing is found" false
				return
			fi
			# One that saw the load wait.
			if ! ended slow && has "$out" slreq_w0; then _held=$((_held + 1)); fi
		done
		finish waits 60
		[ "$rc" = 0 ] || want "round $_round: the load ends with 0" false
		[ $_held -ge 1 ] || want "round $_round: some run saw the load wait" false
		_count=$((_count + _held))
		unload slreq_w0
		[ $((_round % 10)) != 0 ] || log "slow-lock: $_count runs in $_round rounds, nothing found"
	done
	want "$_count runs in $_round rounds: nothing is found" [ $_count -ge "$_runs" ]
	unload slhub
}
