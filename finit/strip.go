// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"golang.org/x/sys/unix"

	"safeload/internal/modfile"
)

// strip gives init_module, which takes no flags, the effect of [IgnoreModversions]
// and [IgnoreVermagic]: the kernel skips a check whose data it does not find
// (check_modinfo in kernel/module/main.c, check_version in
// kernel/module/version.c). strip changes the image in place. A .modinfo without
// vermagic is ENODATA, as in libkmod (elf_strip_vermagic).
func strip(image []byte, flags Flags) error {
	f, err := modfile.New(image)
	if err != nil {
		return err
	}
	if flags&IgnoreModversions != 0 {
		f.Hide("__versions")
	}
	if flags&IgnoreVermagic != 0 && !clearVermagic(f.Modinfo()) {
		return unix.ENODATA
	}
	return nil
}

// clearVermagic zeroes the entry "vermagic=…" of .modinfo, whose strings are
// separated by NULs. It returns false if there are others, but not that one.
func clearVermagic(modinfo []byte) bool {
	const key = "vermagic="
	found, others := false, false
	for start := 0; start < len(modinfo); {
		end := start
		for end < len(modinfo) && modinfo[end] != 0 {
			end++
		}
		entry := modinfo[start:end]
		others = others || len(entry) > 0
		if len(entry) >= len(key) && string(entry[:len(key)]) == key {
			clear(entry)
			found = true
		}
		start = end + 1
	}
	return found || !others
}
