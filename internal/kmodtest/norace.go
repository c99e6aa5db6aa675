// SPDX-License-Identifier: Apache-2.0

//go:build !race

package kmodtest

// Shadow is how many times the memory of the program a test may measure; see race.go.
const Shadow = 1
