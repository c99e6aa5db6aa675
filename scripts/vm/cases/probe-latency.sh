# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: how long an event of the probe takes to its reader, beside a byte in a pipe: idle, and with other tasks busy
# kernels: all
# matrix: none
# boot: probe
# limit: 240
# tests: bpf
#
# The numbers are noted; how large they may be is not for a shared machine to say.
check() {
	gotest bpf 200 -test.run TestLatency
	grep 'busy tasks' "$out" | sed 's/.*go:[0-9]*: //' | while read -r _l; do log "latency: $_l"; done
}
