// SPDX-License-Identifier: Apache-2.0

// Package version holds the version that scripts/build.sh takes from git.
package version

// Version is set by the linker (-X safeload/internal/version.Version=…).
var Version = "devel"
