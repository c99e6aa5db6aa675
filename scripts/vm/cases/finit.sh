# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the Go tests of package finit: errors as the kernel gives them, signals during a wait
# kernels: all
# boot: main
# limit: 120
# copies: f0 f1
# tests: finit
setup() { :; }
check() { gotest finit 100 -test.run TestKernel; }
