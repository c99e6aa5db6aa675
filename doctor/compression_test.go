// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/hex"
	"testing"

	"safeload/finit"
)

// The heads are those of files that xz 5.4, gzip 1.12 and zstd 1.5 have made.
func TestKernelLacks(t *testing.T) {
	for name, tt := range map[string]struct{ head, want string }{
		"xz --check=crc32 --lzma2=dict=1MiB":       {"fd377a585a0000016922de360200210110000000a8708e8601000568656c6c6f", ""},
		"xz --check=none":                          {"fd377a585a000000ff12d9410200210116000000742fe5a301000568656c6c6f", ""},
		"xz --check=crc64":                         {"fd377a585a000004e6d6b4460200210110000000a8708e8601000568656c6c6f", "the check CRC64"},
		"xz --check=sha256":                        {"fd377a585a00000ae1fb0ca10200210116000000742fe5a301000568656c6c6f", "the check 10 of xz"},
		"xz --check=crc32 --arm --lzma2=dict=1MiB": {"fd377a585a0000016922de3602010700210110002553fbcf01000568656c6c6f", "a filter before LZMA2"},
		"xz --check=crc32 --lzma2=dict=96MiB":      {"fd377a585a0000016922de36020021011d00000075a8e47401000568656c6c6f", "a large dictionary"},
		"xz --check=crc32 -T2 --block-size=4096":   {"fd377a585a0000016922de3603c00a0621011600000000005659fe8f01000568", ""},
		"xz, cut short":                            {"fd377a585a0000016922de36", ""},
		"gzip":                                     {"1f8b0808aa8c0a6b00036800cb48cdc9c9e70200", ""},
		"gzip with an extra field":                 {"1f8b080caa8c0a6b00030400cb48cdc9c9e70200", "a header of gzip that has more than a name"},
		"zstd -3, of a pipe":                       {"28b52ffd045801000000", ""},
		"zstd --long=27":                           {"28b52ffd048801000000", "a large window"},
		"zstd -3, of a file":                       {"28b52ffda4400d030054", ""},
	} {
		head, err := hex.DecodeString(tt.head)
		if err != nil {
			t.Fatal(err)
		}
		if got := kernelLacks(finit.SniffBytes(head), head); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func FuzzKernelLacks(f *testing.F) {
	f.Add([]byte("\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x16\x00\x00\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x58"))
	f.Fuzz(func(t *testing.T, head []byte) { kernelLacks(finit.SniffBytes(head), head) })
}

// Who decompresses is told by what is in the files.
func TestCompression(t *testing.T) {
	const file = "lib/modules/" + release + "/kernel/a.ko.xz"
	for name, tt := range map[string]struct {
		head  string
		level Level
	}{
		"CRC64":       {"fd377a585a000004e6d6b4460200210110000000a8708e86", Note},
		"gzip inside": {"1f8b0808aa8c0a6b00036800cb48cdc9c9e70200", Bad},
		"nothing":     {"", Bad},
	} {
		files := healthy()
		b, _ := hex.DecodeString(tt.head)
		files[file] = string(b)
		c := examine(t, files).find("compressed files")
		if c == nil || c.Level != tt.level {
			t.Errorf("%s: %+v, want %s", name, c, tt.level)
		}
	}
	if c := examine(t, healthy()).find("compressed files"); c != nil {
		t.Errorf("healthy: %+v", c)
	}
}
