# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: what the probe costs a module load, a wait for a completion, a fork and exec: measured with it and without
# kernels: all
# matrix: none
# boot: probe
# limit: 240
# copies: v0
#
# The numbers are noted, as times and ratios; how large they may be is not for a shared machine to say.

# hundredths COMMAND...: sets took to the best of three runs. The least is the least disturbed.
hundredths() {
	took=999999
	for _run in 1 2 3; do
		_t=$(now); "$@" >/dev/null 2>&1; _t=$(($(now) - _t))
		[ "$_t" -ge "$took" ] || took=$_t
	done
}
cost_load() { _i=0; while [ $_i -lt 20 ]; do /bin/busybox insmod "$cost_file"; /stock/rmmod slreq_v0; _i=$((_i + 1)); done; }
cost_exec() { _i=0; while [ $_i -lt 100 ]; do /bin/busybox true; /bin/echo; _i=$((_i + 1)); done; }
cost_wait() {
	ns=
	for _run in 1 2 3; do
		/bin/busybox insmod "$cost_wait_file" n=20000 || return
		_ns=$(cat /sys/module/slwait/parameters/ns_each)
		/stock/rmmod slwait
		[ -n "$ns" ] && [ "$_ns" -ge "$ns" ] || ns=$_ns
	done
}

measure() { # sets load_$1, exec_$1 (hundredths) and wait_$1 (ns)
	hundredths cost_load; eval "load_$1=$took"
	hundredths cost_exec; eval "exec_$1=$took"
	cost_wait; eval "wait_$1=$ns"
}
ratio() { [ "$1" -gt 0 ] && echo "$(($2 * 100 / $1))" | sed 's/..$/.&/; s/^\./0./'; }

check() {
	cost_file=$(find "/lib/modules/$kver/updates" -name slreq_v0.ko)
	cost_wait_file=$(find "/lib/modules/$kver/updates" -name slwait.ko)
	measure off
	want "the watch starts" watch_begin
	measure on
	watch_end
	want "all was measured" [ "$load_off" -gt 0 -a "$load_on" -gt 0 -a "$exec_off" -gt 0 -a "$exec_on" -gt 0 -a "${wait_off:-0}" -gt 0 -a "${wait_on:-0}" -gt 0 ]
	log "cost: 20 loads and unloads: $(seconds "$load_off") s without, $(seconds "$load_on") s with: $(ratio "$load_off" "$load_on")"
	log "cost: 200 forks and execs: $(seconds "$exec_off") s without, $(seconds "$exec_on") s with: $(ratio "$exec_off" "$exec_on")"
	log "cost: wait_for_completion_interruptible by an unrelated task: $wait_off ns without, $wait_on ns with: $(ratio "$wait_off" "$wait_on")"
}
