// SPDX-License-Identifier: Apache-2.0

//go:build !safeload_plant

package nowhere

// plant is where TestFaults puts bugs: see plant.go.
func plant(string) {}
