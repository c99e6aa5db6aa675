# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: SIGKILL at random moments, 300 times (30 without --full), of loads that wait, load or recur: nobody hangs, nothing stale stays
# kernels: arm-6.12 arm64-* amd64-*
# matrix: arm-6.12 amd64-6.12
# boot: stress
# cpus: 2
# limit: 180
# limit-full: 1200
# copies: v0 v1
setup() {
	{
		echo "options slreq_v0 hold_ms=150"
		echo "options slreq_v1 req=slreq_v1 hold_ms=100"
	} | conf kills
}

entries() { find /run/safeload -type f -name '[0-9]*.[0-9]*' 2>/dev/null | wc -l; }
groups() { find /sys/fs/cgroup/safeload -mindepth 1 -type d 2>/dev/null | wc -l; }

check() {
	far "$(by_scale 140 1000)"
	start kills /t/vmtool kills -modprobe /safe/modprobe -rounds "$(by_scale 30 300)" -limit "$far"
	finish kills "$(by_scale 150 1050)"
	sed 's/^/#L# kills: /' "$out"
	want "that many kills, and all was right after each" [ "$rc" = 0 ]
	# One load with company, which is when the guard looks, sweeps what the dead left.
	start kills-1 /safe/modprobe slreq_v1
	finish kills-1 30
	want "a recursion is refused afterwards as before" [ "$rc" = 0 ]
	want "no entry of the dead is left ($(entries))" [ "$(entries)" = 0 ]
	want "no cgroup is left ($(groups))" [ "$(groups)" = 0 ]
	unload slreq_v0 slreq_v1
}
