// SPDX-License-Identifier: Apache-2.0

// Package layout is that of what the probe's programs in the kernel share with
// user space: the values of its maps and its events. Package bpf, which loads the
// probe, and internal/ancestry, which reads its pinned maps in the kernel's helper,
// both go by it. It imports nothing.
//
// All values are little endian, and lie as on every architecture that is
// supported.
package layout

//go:generate go run ./gen

// Dir is where the probe's maps are pinned, under a bpffs. A probe that ends with
// its process has a directory PID-STARTTIME in it, so that the name alone tells
// maps that are kept from maps that were left behind.
const Dir = "/sys/fs/bpf/safeload"

// Staying is the directory in Dir of the probe that stays without a process.
const Staying = "probe"

// SpawnsKept is how many threads and work items of inits the probe's maps hold
// without forgetting one.
const SpawnsKept = 256

// Link, and a number from 0, is the name of a link in that directory. The kernel
// detaches such a link (of a perf event) when the last name of it is removed, and
// not before: it has no other way to.
const Link = "link-"
