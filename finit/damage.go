// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Damage says what is wrong with a compressed file. The kinds are those that
// libkmod tells apart (libkmod-file-xz.c, -zlib.c, -zstd.c). As there, each is an
// EINVAL.
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

var damages = [...]string{
	XZFormat:   "xz: the file is not of this format",
	XZOptions:  "xz: the file uses options that are not supported",
	XZData:     "xz: the data are corrupt",
	XZEnd:      "xz: the file ends too early",
	GzipHeader: "gzip: the compression method is not known",
	GzipData:   "gzip: the data are corrupt",
	GzipCheck:  "gzip: the checksum is wrong",
	ZstdSize:   "zstd: the file does not say how large its contents are",
	ZstdData:   "zstd: the data are corrupt",
	ZstdEnd:    "zstd: the file ends too early",
	ZstdCheck:  "zstd: the checksum is wrong",
	ZstdSmall:  "zstd: the contents are larger than the file says",
}

// Valid says whether d is one of the above.
func (d Damage) Valid() bool { return d > 0 && int(d) < len(damages) }

// Error says what is damaged.
func (d Damage) Error() string { return damages[d] }

// Unwrap gives EINVAL.
func (d Damage) Unwrap() error { return syscall.Errno(unix.EINVAL) }
