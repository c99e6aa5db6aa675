# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: what a look-up, a load and a removal cost, by safeload and by kmod in turns in one guest (ratios, no verdict)
# kernels: all
# matrix: none
# boot: bench
# limit: 900
# icount: 1
# extra: xz bench
# copies: y0
#
# What it prints does not depend on what else the machine does: the guest's clock counts instructions.
# The same module plain (slreq_y0), as .ko.xz (slreq_x0), .ko.zst (slreq_x8) and .ko.gz (slreq_x2), which Debian's kmod
# does not read.
check() {
	run 880 /t/bench -tree "/lib/modules/$kver" -runs 40 -ours /safe/modprobe -empty /t/empty \
		-load :slreq_y0 -load /xz:slreq_x0 -load /xz:slreq_x8 \
		-load-alone "/xz/lib/modules/$kver/updates/slreq_x2.ko.gz:slreq_x2" "kmod $(/stock/modprobe --version | sed -n '1s/kmod version //p')=/stock/modprobe"
	sed "s/^/#L# bench: /" "$out"
	want "each run ended well, and each module came and went" [ "$rc" = 0 ]
}
