# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: evidence, with the probe in the kernel: nobody is refused who is a stranger, whoever waits for himself is, in a second
# kernels: all
# matrix: none
# boot: evidence
# icount: 1
# limit: 300
# limit-full: 3600
# modules: algif_skcipher cbc
# copies: e0 e1
#
# No process reads the probe here: a watch would take more of the processor than all the rest of a trial.
setup() { trials_setup; }

check() {
	run 240 /safe/safeload probe load --json --patience 60s
	want "the probe is in the kernel, and whole" has "$out" '"ready":true,.*"whole":true'
	trials "$(by_scale 6 200)" "$(by_scale 2 200)"
	run 60 /safe/safeload probe unload
	want "it is taken away" [ "$rc" = 0 ]
}
