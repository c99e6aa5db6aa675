# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload diagnose on a healthy system under a storm of loads, 1,000 runs (10 without --full): no false finding
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: diagnose
# cpus: 2
# limit: 1500
# limit-full: 5000
# copies: o0 q0 q1 q2 q3 q4 q5 q6 q7 q8 q9 r1 r2 r3
setup() {
	{
		storm_conf
		echo "options slreq_r1 req=slreq_r2 via=kthread"
		echo "options slreq_r2 hold_ms=15000"
		echo "options slreq_r3 need=lock"
	} | conf healthy
}

# under HELPER RUNS SECONDS SLOW: runs of diagnose while loads by that modprobe storm, beside slow ones if SLOW is yes.
under() {
	helper "$1"
	_name="healthy-${1#/}"
	_name=$(echo "$_name" | tr / -)
	start "$_name" /t/vmtool repeat -n "$2" -limit "$3" -- /safe/safeload diagnose
	_loads=0
	while ! ended "$_name"; do
		# An init that stands still for longer than diagnose takes for likely, by a thread that waits for another load.
		[ "$4" = no ] || "$1" slreq_r1 &
		# And one that waits for a lock, whose holder is slow and no more than that: with --full each time, else once, as
		# diagnose takes ten times as long beside it.
		if [ "$4" = yes ] && { [ "$_loads" = 0 ] || [ "$(by_scale 0 1)" = 1 ]; }; then
			is slreq_r3 coming || unload slreq_r3
			echo 14000 >/sys/module/slhub/parameters/slow &
			pause 0.2
			"$1" slreq_r3 &
		fi
		/t/vmtool storm -modprobe "$1" -want 1 -slow "$(by_scale 20 50)" -each "$(by_scale 4 10)" -limit 600 >/tmp/healthy.storm 2>&1 || { sed 's/^/#L# /' /tmp/healthy.storm; want "$1: the storm ends well" false; }
		_loads=$((_loads + $(sed -n 's/^loads \([0-9]*\).*/\1/p' /tmp/healthy.storm)))
		[ "$(state slreq_r1)" != live ] || unload slreq_r1 slreq_r2
		log "healthy: $_loads loads by $1; diagnose: $(tail -n 1 "/tmp/job/$_name.out")"
	done
	finish "$_name" 5
	sed "s/^/#L# healthy: $_loads loads by $(basename "$(dirname "$1")"): /" "$out"
	want "$1: $2 runs beside $_loads loads, all with exit 0" [ "$rc" = 0 ]
	want "$1: there was something to see" [ "$_loads" -ge "$(by_scale 70 160)" ]
	wait
	unload slreq_r1 slreq_r2 slreq_r3
}

check() {
	/stock/modprobe slhub
	under /stock/modprobe "$(by_scale 5 500)" "$(by_scale 700 2400)" yes
	# Of safeload's modprobes diagnose knows more: without --full the slow ones are kmod's alone, who take half a minute.
	under /safe/modprobe "$(by_scale 5 500)" "$(by_scale 700 2400)" "$(by_scale no yes)"
	unload slhub
}
