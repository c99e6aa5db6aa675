// SPDX-License-Identifier: Apache-2.0

//go:build !race

package depmod

// shadow is how many times the memory of the program a test may measure; see race_test.go.
const shadow = 1
