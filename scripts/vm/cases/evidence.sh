# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: strangers' requests that begin at random before, at and after an init falls asleep, and true recursions, 200 each (6 and 2 without --full): how many are refused
# kernels: all
# matrix: arm-6.12
# boot: evidence
# icount: 1
# limit: 120
# limit-full: 3600
# modules: algif_skcipher cbc
# copies: e0 e1
#
# The patience is 1 s, so that a trial takes seconds: what is taken for evidence is the same. docs/refusals.md has the
# table. EVIDENCE_POLICY=bold in a --shell shows what the bolder policy makes of the same.
setup() { trials_setup; }

check() {
	trials "$(by_scale 6 200)" "$(by_scale 2 200)"
}
