# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# How Go compiles everything here: the programs that are released, and what tests them. What one has compiled, Go's own packages
# above all, the next finds in Go's cache. (The race detector wants cgo: the step unit says so.) To be sourced.

# Stripped programs have no use for what a debugger wants; the compiler spares a tenth of its time without it.
# shellcheck disable=SC2034 # whoever sources this exports it
go_flags='-trimpath -gcflags=all=-dwarf=false'
export CGO_ENABLED=0

# go_experiment: Go's older garbage collector touches a page less for each kind of object: 7 % of the helper's start-up. A
# later Go may not know the word any more. To be called when go is in PATH.
go_experiment() {
	! GOEXPERIMENT=nogreenteagc go version >/dev/null 2>&1 || export GOEXPERIMENT=nogreenteagc
}

# go_build ARGUMENT...: go build, whose compiler collects its garbage later: a seventh less of its time, for 100 MB more.
go_build() { GOGC=${GOGC:-400} go build "$@"; }
