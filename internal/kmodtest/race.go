// SPDX-License-Identifier: Apache-2.0

//go:build race

package kmodtest

// Shadow is how many times the memory of the program the race detector makes of it:
// its shadow memory counts as resident.
const Shadow = 4
