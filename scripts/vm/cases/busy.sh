# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload diagnose where one load that hangs has used up the kernel's 50 requests at once: it names the limit, and --free ends all of it
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: diagnose
# limit: 400
# copies: l0
#
# kmod is the helper. A request for any fs-busy-N leads to slreq_l0, whose init waits for itself, so each request
# stays. Those beyond the 50th are held 5 s by the kernel, then fail, and are made again.
setup() { { echo "options slreq_l0 req=slreq_l0"; echo "alias fs-busy-* slreq_l0"; } | conf busy; }

control() {
	start busy /stock/modprobe slreq_l0
	must_hang busy slreq_l0
}

diagnose() { run 60 /safe/safeload diagnose "$@"; }
# held: the last report says that the limit holds somebody.
held() { diagnose; has "$out" "^The kernel's limit of 50 requests at once is reached: [1-9]"; }
throttled() { diagnose --json; has "$out" '"role":"throttled"'; }

check() {
	helper /stock/modprobe
	dmesg -c >/dev/null
	start busy /stock/modprobe slreq_l0
	want "the load has begun" wait_for 20 is slreq_l0 coming
	_i=0
	while [ $_i -lt 54 ]; do
		until [ -e /tmp/busy.done ]; do mount -t "busy-$_i" none /tmp 2>/dev/null; done &
		_i=$((_i + 1))
	done
	want "the limit is named" wait_for 240 held
	sed "s/^/#L# busy: /" "$out"
	want "exit 3" [ "$rc" = 3 ]
	want "with what is behind it" has "$out" "^FOUND (certain): the load of slreq_l0 waits for itself"
	want "exactly 50 have their request" count "$out" "    waits for the helper it asked the kernel for" 49
	want "somebody waits for a turn" has "$out" "one of more than 50 that ask the kernel at once: waits 5 s at most"
	want "the kernel says the same" wait_for 30 sh -c 'dmesg | grep -q "cannot be processed, kmod busy with 50 threads"'
	# Between two requests of theirs nobody may be held.
	want "JSON: throttled" wait_for 60 throttled
	want "JSON: as the schema says" /t/vmtool jsonl survey "$out"
	: >/tmp/busy.done
	diagnose --free
	sed "s/^/#L# busy: /" "$out"
	want "--free: this was all" has "$out" "^free: no load waits for itself any more"
	want "--free: one load, not more" count "$out" "^free: ended" 1
	finish busy 60
	want "the load ends with 0" [ "$rc" = 0 ]
	wait
	want "and the module is live" is slreq_l0 live
	unload slreq_l0
	rm /tmp/busy.done
	helper /safe/modprobe
}
