// SPDX-License-Identifier: Apache-2.0

package modload

import (
	"errors"
	"syscall"

	"safeload/finit"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// damages are libkmod's messages, each with the function that prints it.
var damages = [...]struct{ text, function string }{
	finit.XZFormat:   {"xz: File format not recognized", "xz_uncompress_belch"},
	finit.XZOptions:  {"xz: Unsupported compression options", "xz_uncompress_belch"},
	finit.XZData:     {"xz: File is corrupt", "xz_uncompress_belch"},
	finit.XZEnd:      {"xz: Unexpected end of input", "xz_uncompress_belch"},
	finit.GzipHeader: {"gzip: unknown compression method", "kmod_file_load_zlib"},
	finit.GzipData:   {"gzip: invalid data", "kmod_file_load_zlib"},
	finit.GzipCheck:  {"gzip: incorrect data check", "kmod_file_load_zlib"},
	finit.ZstdSize:   {"zstd: Failed to determine decompression size", "kmod_file_load_zstd"},
	finit.ZstdData:   {"zstd: Data corruption detected", "kmod_file_load_zstd"},
	finit.ZstdEnd:    {"zstd: Src size is incorrect", "kmod_file_load_zstd"},
	finit.ZstdCheck:  {"zstd: Restored data doesn't match checksum", "kmod_file_load_zstd"},
	finit.ZstdSmall:  {"zstd: Destination buffer is too small", "kmod_file_load_zstd"},
}

// DamageText is libkmod's message for a damaged file.
func DamageText(d finit.Damage) string { return damages[d].text }

// TellDamage tells what libkmod prints when it cannot decompress a file, or cannot
// force a decompressed one.
func TellDamage(t Teller, err error) {
	if e, ok := err.(*finit.Error); ok && e.Op == "strip" && Errno(err) == syscall.ENODATA {
		t.Lib(kmod.LogErr, "do_init_module", "Failed to strip version information: "+strerror.Text(syscall.ENODATA)+"\n")
	}
	if d, ok := errors.AsType[finit.Damage](err); ok {
		w := damages[d]
		t.Lib(kmod.LogErr, w.function, w.text+"\n")
	}
}
