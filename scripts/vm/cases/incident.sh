# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the real incident, aes-arm-bs: on 6.1 with its alias of 2020, on 6.12 with 6.1's glue (2024)
# kernels: arm-*
# boot: incident
# helper: none
# limit: 60
# modules: aes_arm_bs aes_arm crypto_user algif_skcipher
# extra: incident
setup() { incident_setup; }

control() {
	start incident /stock/modprobe aes_arm_bs
	must_hang incident aes_arm_bs
}

# From /proc alone: the guard's patience, then a second for each request that follows. Somebody is asleep in state D most of
# the time, as on a machine that boots: the crypto manager's thread could be for him, did the kernel not tell where he sleeps.
check() {
	start incident-busy /t/vmtool vforks
	incident_check 1500
	kill "$(pid_of incident-busy)"
}
