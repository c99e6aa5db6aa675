# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: log and why read the ring of the probe, without a watch: by hand, by request, what was not found, what failed; what is lost is counted
# kernels: all
# matrix: arm-6.12
# boot: probe
# limit: 120
# modules: af_alg algif_skcipher
# copies: z0 z1 z2 z3 z4
setup() {
	{
		echo "alias fs-ring-came slreq_z0"
		echo "options slreq_z1 fail=19"
		echo "options slreq_z2 req=ring-nothing via=kthread"
		echo "options slreq_z4 hold_ms=3000"
	} | conf probe-log
}

logged=/tmp/ring.log
# entry PATTERN TEXT...: one line of the log has the pattern, and each of these texts.
entry() {
	_key=$1; shift
	[ "$(grep -c -e "$_key" $logged)" = 1 ] || { log "$case: $(grep -c -e "$_key" $logged) lines with $_key"; return 1; }
	for _t; do grep -e "$_key" $logged | grep -q -e "$_t" || { log "$case: $_key has no $_t: $(grep -e "$_key" $logged | head -c 600)"; return 1; }; done
}
read_log() {
	run 60 /safe/safeload log --json "$@"
	cp "$out" $logged
	[ "$rc" = 0 ] || { log "$case: log: $rc $(head -c 300 "$out")"; return 1; }
}
lines() { grep -c "\"type\":\"$1\"" $logged; }

check() {
	helper /safe/modprobe
	/stock/modprobe algif_skcipher
	run 60 /safe/safeload log
	want "no record and no probe: an error that says what to do" has "$out" "safeload probe load"
	want "and its exit status" [ "$rc" = 1 ]
	run 240 /safe/safeload probe load --json --patience 60s
	want "the probe is in the kernel" has "$out" '"did":"loaded","ready":true'
	_bytes=$(grep -o '"bytes":[0-9]*' "$out" | cut -d: -f2)
	log "$case: its maps take $_bytes bytes"
	want "with the ring they are less than 2 MiB" [ "$_bytes" -lt 2097152 ]
	want "its ring is empty" read_log
	want "and says from what it is" entry '"source":"probe"' '"type":"source"' '"boot_us":[1-9]'
	want "and nothing else" [ "$(wc -l <$logged)" = 1 ]

	start ring-hand /safe/modprobe slreq_z3; finish ring-hand 30
	start ring-user /t/vmtool algbind 1000 ring-none; finish ring-user 30
	start ring-came mount -t ring-came none /tmp; finish ring-came 30
	start ring-fails /safe/modprobe slreq_z1; finish ring-fails 30
	want "one fails" [ "$rc" = 1 ]
	start ring-thread /safe/modprobe slreq_z2; finish ring-thread 30
	want "no process of ours is there" not pgrep -x safeload
	want "the log is read" read_log
	want "every line is as the schema says" /t/vmtool jsonl log $logged
	want "by hand" entry '"module":"slreq_z3"' '"type":"load"' "\"pid\":$(pid_of ring-hand),\"tid\":[0-9]*,\"comm\":\"modprobe\",\"who\":{\"uid\":0" '"ret":0,"ended":true' '"why":{"how":"process"'
	# The crypto core asks for both, and on some kernels for cryptomgr, which is built in.
	for _n in crypto-ring-none crypto-ring-none-all; do
		want "not found: $_n, by whom" entry "\"name\":\"$_n\"" '"type":"request"' "\"pid\":$(pid_of ring-user)," '"comm":"vmtool","who":{"uid":1000' '"ret":256,"ended":true,"via":"none"'
	done
	want "asked for by another name, by whom" entry '"module":"slreq_z0"' '"ret":0' "\"asked\":{\"name\":\"fs-ring-came\",\"pid\":$(pid_of ring-came),\"tid\":[0-9]*,\"comm\":\"mount\",\"who\":{\"uid\":0" '"why":{"how":"alias"'
	want "what fails" entry '"module":"slreq_z1"' '"type":"load"' "\"pid\":$(pid_of ring-fails)," '"ret":-19,"ended":true'
	want "a thread's request, for whose load" entry '"name":"ring-nothing"' '"type":"request"' '"comm":"slreq_z2"' '"ret":256' '"via":"kthread","for_load_of":"slreq_z2"' \
		"\"for_load_by\":{\"pid\":$(pid_of ring-thread),"
	want "and that load" entry '"module":"slreq_z2"' '"ret":0'
	_nothing=$(lines request)
	want "and nothing else" [ "$(lines load) $(grep '"type":"request"' $logged | grep -vc '"name":"cryptomgr"') $(lines lost)" = "4 3 0" ]

	run 60 /safe/safeload log --uid 1000
	want "for people, of one user" has "$out" "request crypto-ring-none: nothing was loaded, the helper exits with 1 in .*, by vmtool\[$(pid_of ring-user)\] (uid 1000"
	want "and of nobody else" lacks "$out" slreq
	want "and from what it is" has "$out" "safeload: log: from the ring of the probe that is in the kernel since"
	run 60 /safe/safeload why slreq_z0
	want "why: who asked" has "$out" "mount\[$(pid_of ring-came)\] (uid 0.*) asked for fs-ring-came"
	want "why: what holds it" has "$out" "held by nobody"
	run 60 /safe/safeload why af_alg
	want "why: nobody" has "$out" "nobody asked for it, as far as is known from the ring"

	start ring-slow /stock/modprobe slreq_z4
	wait_for 30 is slreq_z4 coming
	want "what goes on is told" read_log
	want "as what has not ended" entry '"module":"slreq_z4"' '"ended":false'
	finish ring-slow 30
	start ring-follow /safe/safeload log --follow --json --module slreq_z3
	_follow=/tmp/job/ring-follow.out
	wait_for 30 has $_follow '"type":"source"'
	unload slreq_z3
	/safe/modprobe slreq_z3
	want "what comes is told to who follows" wait_for 30 count $_follow '"module":"slreq_z3"' 2
	kill "$(pid_of ring-follow)"; finish ring-follow 30
	want "and the end is no error" [ "$rc" = 0 ]

	# A record of a watch, which reads from the same probe, and what was before and after it.
	want "a watch starts" watch_begin --record /run/safeload-watch.jsonl
	unload slreq_z3
	/safe/modprobe slreq_z3
	watch_end
	/safe/modprobe slreq_z1
	want "both are read" read_log
	want "both are named" [ "$(grep -o '"source":"[a-z]*"' $logged | tr '\n' ' ')" = '"source":"probe" "source":"record" ' ]
	want "nothing is missing, and nothing told twice" [ "$(lines load) $(lines request) $(lines lost)" = "8 $_nothing 0" ]
	want "before, in and after it" [ "$(grep -o '"module":"slreq_z[0-9]"' $logged | tail -3 | tr -dc '0-9\n' | tr '\n' ' ')" = "3 3 1 " ]
	want "every line is as the schema says" /t/vmtool jsonl log $logged
	rm /run/safeload-watch.jsonl

	want "a user calls finit_module" /t/vmtool misload 1000 300
	want "his calls" read_log
	want "take no place of what was loaded" entry '"module":"slreq_z0"' '"asked":{"name":"fs-ring-came"'
	want "are counted, and the oldest that came to nothing are missing" entry '"type":"lost"' "\"came_to_nothing\":$((_nothing + 300 - 256))}"
	want "and have his name" count $logged '"who":{"uid":1000.*"ret":-1,' 256
	want "root calls it" /t/vmtool misload 0 600
	want "more than the ring has" read_log
	want "the newest 512 are there" count $logged '"type":"load".*"ret":-9,' 512
	want "and what is missing is counted" entry '"type":"lost"' "\"loads\":96,\"came_to_nothing\":$((_nothing + 300 - 256))}"
	start ring-last mount -t ring-came none /tmp; finish ring-last 30
	/safe/modprobe slreq_z1
	want "after that" read_log
	want "the newest is there" entry '"module":"slreq_z1"' '"ret":-19'
	want "and one more is missing, of both: the module that was asked for is there already" entry '"type":"lost"' "\"loads\":97,\"came_to_nothing\":$((_nothing + 301 - 256))}"

	# As after switch_root(8): another root, and the same /sys.
	mkdir -p /tmp/root/sys /tmp/root/proc
	mount --bind /sys /tmp/root/sys && mount --bind /sys/fs/bpf /tmp/root/sys/fs/bpf && mount --bind /proc /tmp/root/proc
	cp /safe/safeload /tmp/root/
	run 60 chroot /tmp/root /safeload log --module slreq_z1
	want "and below another root" has "$out" "load slreq_z1: ENODEV"
	umount /tmp/root/sys/fs/bpf /tmp/root/sys /tmp/root/proc
	want "it is taken away" /safe/safeload probe unload
	run 60 /safe/safeload why slreq_z0
	want "then nobody knows" has "$out" "who asked is not known: nothing has kept what was loaded"
	unload slreq_z0 slreq_z1 slreq_z2 slreq_z3 slreq_z4
}
