// SPDX-License-Identifier: Apache-2.0

// Package damage has the errors of package finit for what the decoders say of a damaged file.
package damage

import (
	"safeload/finit"
	"safeload/internal/xz"
)

// OfXZ is the error for what came of decompressing an xz file.
func OfXZ(r xz.Result) error {
	switch r {
	case xz.OK:
		return nil
	case xz.Format:
		return finit.XZFormat
	case xz.Options:
		return finit.XZOptions
	case xz.End:
		return finit.XZEnd
	}
	return finit.XZData
}
