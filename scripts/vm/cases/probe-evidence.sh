# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: evidence, with the probe running: nobody is refused who is a stranger, whoever waits for himself is, in a second
# kernels: all
# matrix: none
# boot: evidence
# icount: 1
# limit: 300
# limit-full: 3600
# modules: algif_skcipher cbc
# copies: e0 e1
setup() { trials_setup; }

check() {
	want "the watch starts" watch_begin -v
	trials "$(by_scale 6 200)" "$(by_scale 2 200)"
	watch_end
}
