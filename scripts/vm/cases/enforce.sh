# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: unsigned modules where the kernel enforces signatures: exit code and words as kmod's
# kernels: all
# matrix: arm-6.12 amd64-6.12
# signed: yes
# boot: enforce
# limit: 30
# copies: z0
check() {
	echo 1 >/sys/module/module/parameters/sig_enforce # for good
	want "the kernel enforces" grep -q Y /sys/module/module/parameters/sig_enforce
	/stock/modprobe slreq_z0 >/tmp/z1 2>&1; _rc1=$?
	/safe/modprobe slreq_z0 >/tmp/z2 2>&1; _rc2=$?
	sed 's/^/#L# enforce: kmod: /' /tmp/z1
	want "kmod cannot load it" [ $_rc1 = 1 ]
	want "nor can safeload, with the same exit code" [ $_rc2 = 1 ]
	want "and the same words" cmp -s /tmp/z1 /tmp/z2
	want "the module is not there" is slreq_z0 absent
}
