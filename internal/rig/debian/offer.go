// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// An offer is what apt has to say of a package's file.
type offer struct {
	name string
	size int64
	sum  string // as in SHA256:HEX; one of another kind is not looked at
}

// readURI reads a line that apt-get --print-uris writes: 'URI' FILE SIZE SUM.
func readURI(line string) (offer, bool) {
	f := strings.Fields(line)
	if len(f) < 3 || f[1] == "." || f[1] == ".." || filepath.Base(f[1]) != f[1] {
		return offer{}, false
	}
	size, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return offer{}, false
	}
	return offer{f[1], size, strings.Join(f[3:], "")}, true
}

// is says whether a file is what was offered, or why not.
func (o offer) is(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	kind, want, _ := strings.Cut(o.sum, ":")
	var h hash.Hash
	switch kind {
	case "SHA512":
		h = sha512.New()
	case "SHA256":
		h = sha256.New()
	default:
		h, want = fnv.New32(), ""
	}
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if n != o.size {
		return fmt.Errorf("%s has %d bytes, and apt says %d", file, n, o.size)
	}
	if got := hex.EncodeToString(h.Sum(nil)); want != "" && !strings.EqualFold(got, want) {
		return fmt.Errorf("%s has the %s %s, and apt says %s", file, kind, got, want)
	}
	return nil
}
