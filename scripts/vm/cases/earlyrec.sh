# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a recursion before /init, with no /proc, /sys or /run: the boot goes on with safeload, and stands still with kmod
# kernels: all
# boot: earlyrec
# limit: 60
# copies: h0
# extra: early_recursion
# append: loglevel=7
# known-red: safeload does not refuse it either yet (seen on arm 6.12): the guest stands still before /init
# stands-still: stock
#
# The kernel's own late request for crypto-hmac(sha256) or crypto-cbc(aes), by an alias, loads a module that
# asks for itself. The host sees that the stock guest never comes to /init.
control() { :; }

check() {
	want "the boot came to /init" true
	want "the module is live" is slreq_h0 live
	dmesg >/tmp/early
	want "a refusal is on record" has /tmp/early "safeload: refused"
	grep 'safeload:' /tmp/early | sed 's/^/#L# earlyrec: /'
}
