# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a recursion before /init, with no /proc, /sys or /run: the boot goes on with safeload, and stands still with kmod
# kernels: *-6.* *-own
# matrix: arm-6.12 amd64-6.12 *-own
# boot: earlyrec
# limit: 60
# copies: h0
# extra: early_recursion
# append: loglevel=7
# stands-still: stock
#
# The guard finds the chain in a procfs and a sysfs of its own, which it mounts nowhere; its entry is in memory.
# The kernel's own late request for crypto-hmac(sha256) or crypto-cbc(aes), by an alias, loads a module that
# asks for itself. The host sees that the stock guest never comes to /init.
control() { :; }

check() {
	want "the boot came to /init" true
	want "the module is live" is slreq_h0 live
	dmesg >/tmp/early
	want "one refusal is on record" count /tmp/early "safeload: refused slreq_h0" 1
	want "proven, not suspected" lacks /tmp/early "suspected"
	want "no Go program died" lacks /tmp/early "fatal error\|goroutine"
	grep 'safeload:' /tmp/early | sed 's/^/#L# earlyrec: /'
}
