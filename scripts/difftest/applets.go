// SPDX-License-Identifier: Apache-2.0

package main

// appletCases run the programs beside modprobe.
func appletCases(trees []*tree) (cases []*testCase) {
	return cases
}
