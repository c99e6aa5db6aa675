# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: 20, 45 and 60 requests at once for one module whose init takes 0.1 to 2 s, and fails or not: as many inits as with kmod, and no longer
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: main
# limit: 150
# limit-full: 600
# copies: b9
setup() { echo "alias fs-burst-* slreq_b9" | conf burst; }

# burst HELPER N MS FAIL: sets inits and took (hundredths).
burst() {
	helper "$1"
	echo "options slreq_b9 delay_ms=$3 fail=$4" | conf burst-how
	kmsg_mark
	_t0=$(now) _i=0
	while [ $_i -lt "$2" ]; do mount -t "burst-$_i" none /tmp 2>/dev/null & _i=$((_i + 1)); done
	wait
	took=$(($(now) - _t0))
	inits=$(grep -c "slreq_b9: init: req=" "$(kmsg)")
	unload slreq_b9
}

# pair N MS FAIL: both, one after the other in one guest. What comes when the first init is over begins another, with
# kmod as well; how many do so is chance, above all when an init is shorter than the time in which they come: so one
# more is allowed, and two where it takes 0.1 s.
pair() {
	burst /stock/modprobe "$@"
	_inits=$inits _took=$took
	burst /safe/modprobe "$@"
	log "burst: $1 requests, init of $2 ms, fail=$3: kmod $_inits inits in $(seconds "$_took") s, safeload $inits in $(seconds "$took") s"
	want "$1 requests, init of $2 ms, fail=$3: no more inits than with kmod" [ "$inits" -ge 1 -a "$inits" -le $((_inits + ($2 < 500 ? 2 : 1))) ]
	_more=$((inits > _inits ? (inits - _inits) * $2 / 10 : 0))
	want "$1 requests, init of $2 ms, fail=$3: no more than a fifth longer, but for that" [ $(((took - _more) * 5)) -le $((_took * 6 + 100)) ]
	[ "$3" != 0 ] || want "$1 requests, init of $2 ms: one init" [ "$inits" = 1 ]
}

check() {
	if [ "$scale" = full ]; then
		for _fail in 19 0; do for _ms in 100 500 2000; do for _n in 20 45 60; do pair $_n $_ms $_fail; done; done; done
	else
		pair 60 500 19
		pair 20 500 0
	fi
	want "nobody was refused" lacks "$(kmsg)" "safeload: refused"
	helper /safe/modprobe
}
