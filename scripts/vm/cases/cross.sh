# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: two tasks crossing, 200 times (20 without --full) with random delays: A's init asks for B, B's for A; exactly one is refused
# kernels: arm-6.12 arm64-* amd64-*
# matrix: arm-6.12 amd64-6.12
# boot: stress
# cpus: 2
# limit: 150
# limit-full: 900
# copies: y0 y1
control() {
	{ echo "options slreq_y0 req=slreq_y1 delay_ms=500"; echo "options slreq_y1 req=slreq_y0 delay_ms=500"; } | conf cross
	start cross-a /stock/modprobe slreq_y0
	start cross-b /stock/modprobe slreq_y1
	must_hang cross-a slreq_y0
	must_hang cross-b slreq_y1
}

# random N: a number below N.
random() { echo $(($(od -An -N2 -tu2 /dev/urandom) % $1)); }

check() {
	rounds=0 wrong=0 not_one=0 slow=0 late=0
	# The last rounds are given up rather than the whole case, should the machine be slow; fewer than all is a failure.
	total=$(by_scale 20 200)
	far "$(by_scale 140 880)"
	stop=$(($(now) + far * 100))
	while [ $rounds -lt "$total" ] && [ "$(now)" -lt $stop ]; do
		rounds=$((rounds + 1))
		{ echo "options slreq_y0 req=slreq_y1 delay_ms=$(random 120)"
		  echo "options slreq_y1 req=slreq_y0 delay_ms=$(random 120)"; } | conf cross
		dmesg -c >/dev/null; rm -f /run/safeload/said # lines a minute are limited
		/safe/modprobe slreq_y0 >/tmp/cross.a 2>&1 & _a=$!
		usleep "$(random 60000)"
		/safe/modprobe slreq_y1 >/tmp/cross.b 2>&1 & _b=$!
		_t=$(now)
		wait $_a; _ra=$?
		wait $_b; _rb=$?
		_n=$(dmesg | grep -c "safeload: refused")
		_n=$((_n + $(cat /tmp/cross.a /tmp/cross.b | grep -c "safeload: refused")))
		[ $(($(now) - _t)) -le 900 ] || late=$((late + 1))
		if { dmesg; cat /tmp/cross.a /tmp/cross.b; } | grep -q "safeload: refused.*suspected"; then slow=$((slow + 1)); fi
		[ "$_n" = 1 ] || { not_one=$((not_one + 1)); log "cross: round $rounds: $_n refusals, exits $_ra $_rb"; }
		if is slreq_y0 live && is slreq_y1 live; then :; else wrong=$((wrong + 1)); log "cross: round $rounds: y0 $(state slreq_y0), y1 $(state slreq_y1), exits $_ra $_rb: $(cat /tmp/cross.a /tmp/cross.b)"; fi
		unload slreq_y0 slreq_y1
	done
	want "$total rounds (got $rounds)" [ $rounds = "$total" ]
	want "both modules live after each ($wrong not)" [ $wrong = 0 ]
	want "exactly one refusal in each ($not_one not)" [ $not_one = 0 ]
	want "none waited for patience ($slow did)" [ $slow = 0 ]
	! exact || want "none took 9 s ($late did)" [ $late = 0 ]
}
