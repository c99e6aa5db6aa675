// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Damage is what is wrong with a compressed file, in the words of libkmod
// (libkmod-file-xz.c, -zlib.c, -zstd.c). It is an EINVAL, as there.
type Damage uint8

const (
	_ Damage = iota
	XZFormat
	XZOptions
	XZData
	XZEnd
	GzipHeader
	GzipData
	GzipCheck
	ZstdSize
	ZstdData
	ZstdEnd
	ZstdCheck
	ZstdSmall
)

var damages = [...]struct{ text, function string }{
	XZFormat:   {"xz: File format not recognized", "xz_uncompress_belch"},
	XZOptions:  {"xz: Unsupported compression options", "xz_uncompress_belch"},
	XZData:     {"xz: File is corrupt", "xz_uncompress_belch"},
	XZEnd:      {"xz: Unexpected end of input", "xz_uncompress_belch"},
	GzipHeader: {"gzip: unknown compression method", "kmod_file_load_zlib"},
	GzipData:   {"gzip: invalid data", "kmod_file_load_zlib"},
	GzipCheck:  {"gzip: incorrect data check", "kmod_file_load_zlib"},
	ZstdSize:   {"zstd: Failed to determine decompression size", "kmod_file_load_zstd"},
	ZstdData:   {"zstd: Data corruption detected", "kmod_file_load_zstd"},
	ZstdEnd:    {"zstd: Src size is incorrect", "kmod_file_load_zstd"},
	ZstdCheck:  {"zstd: Restored data doesn't match checksum", "kmod_file_load_zstd"},
	ZstdSmall:  {"zstd: Destination buffer is too small", "kmod_file_load_zstd"},
}

// Valid says whether d is one of the above.
func (d Damage) Valid() bool { return d > 0 && int(d) < len(damages) }

func (d Damage) Error() string { return damages[d].text }

// Function is the one of libkmod that says so.
func (d Damage) Function() string { return damages[d].function }

func (d Damage) Unwrap() error { return syscall.Errno(unix.EINVAL) }

// DamageOf finds the damage that an error of this package tells of, 0 if none.
func DamageOf(err error) Damage {
	if e, ok := err.(*Error); ok {
		err = e.Err
	}
	d, _ := err.(Damage)
	return d
}
