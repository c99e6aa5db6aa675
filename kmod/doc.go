// SPDX-License-Identifier: Apache-2.0

// Package kmod answers which module files a name stands for, in which order
// they are to be loaded and with which parameters, from a module tree
// (/lib/modules/RELEASE) and the configuration in modprobe.d.
//
// It follows libkmod of kmod's current master: modules.dep(5), modprobe.d(5)
// and modprobe(8) describe what is documented of it. The binary indexes that
// depmod(8) writes are mapped, and only the pages that a name leads to are
// read. The package makes no change to the system and asks nothing of the
// running kernel but /proc/cmdline, which is configuration.
//
// It is used by the kernel's helper, hundreds of times at boot and on slow
// processors, so it imports little and allocates little. Several
// Contexts may be used at once, each by one goroutine.
package kmod
