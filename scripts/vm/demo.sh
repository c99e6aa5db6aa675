# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The story in two boots of one 32-bit ARM machine, printed side by side.

demo_run() {
	local case_file=$vm_dir/cases/tcrypt.sh m
	key=${keys[0]}
	selected=("$case_file")
	prepare "$key" || return 1
	say "booting $key twice: once with kmod, once with safeload; kmod gets 30 s to show that it hangs"
	for m in stock safe; do (trap - EXIT; prepare "$key" && boot demo $m "$case_file") & done
	wait
	local stock=$work/$key-demo-stock safe=$work/$key-demo-safe
	cat <<-STORY

		Linux $kver, module tcrypt (alg=recurse), modprobe.d: alias crypto-recurse tcrypt

		    modprobe tcrypt alg=recurse                 <- you; the kernel runs tcrypt's init
		      '- init: request_module("crypto-recurse") <- waits for its helper
		           '- modprobe -q -- crypto-recurse     <- the helper: an alias, that is tcrypt again
		                '- waits for tcrypt             <- which waits for the helper

	STORY
	pr -m -t -w 150 <(demo_column "stock modprobe (kmod)" "$stock" control) <(demo_column "safeload" "$safe" check)
	echo
	grep -ah '^#L# .*safeload: refused' "$safe/log.txt" | sed 's/^#L# *//' | fold -s -w 110
	echo
	awk -F'|' '$4 == "pass" {p++} $4 != "pass" {f++} END {printf "%d passed, %d failed\n", p, f; exit f > 0}' "$stock/results" "$safe/results"
}

# demo_column TITLE DIR PHASE
demo_column() {
	echo "$1"
	echo "$1" | tr -c '\n' '-'
	awk -F'|' '{ print ($4 == "pass" ? "as expected: " : "NOT AS EXPECTED: ") $6 " (" $5 " s)" }' "$2/results" | fold -s -w 70
	grep -a '^#L# tcrypt: \(ok\|NOT\)' "$2/log.txt" | sed 's/^#L# tcrypt: /  /' | fold -s -w 70
}
