// SPDX-License-Identifier: Apache-2.0

//go:build !safeload_embed

package main

import "safeload/finit/unpack"

// A plain go build links the decompressors, which makes each start slower.
var unpacker = unpack.InProcess
