// SPDX-License-Identifier: Apache-2.0

// Package audit studies a tree of kernel modules without running anything of
// it, and finds those whose load can wait for itself: their init requests, at
// once or by what it registers, a name that modprobe resolves to them or to a
// module that waits for them.
//
// What it rests on, in the order in which it is used:
//
//   - the module's ELF file: symbols, relocations and the code itself say which
//     functions init reaches and with which constant arguments they are called
//     (image.go, flow.go, ways.go, reach.go, package isa);
//   - what the kernel's exported functions request of a name that they are given
//     (requests.go) and, for the crypto API, which names follow from one
//     (cryptoapi.go, template.go);
//   - the aliases, dependencies and soft dependencies of all modules and the
//     configuration, which say what a requested name loads (resolve.go).
//
// A load also waits for itself if what is requested needs what the one who
// requests holds: a lock, a queue, a device, the end of all async functions
// (locks.go, takes.go, asks.go, drivers.go, waits.go).
//
// A finding is ranked by the weakest step of its route (find.go), and the route
// is part of it.
package audit
