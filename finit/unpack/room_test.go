// SPDX-License-Identifier: Apache-2.0

package unpack

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/finit"
)

// A room gives what a loader gives, contents and error, of whatever lies there,
// one file after the other.
func TestRoom(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	put := func(name string, data []byte) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 5, 6, 7, 1000, copied, copied + 1, 3 << 20, keep + 1} {
		data := bytes.Repeat([]byte("some words, "), size/12+1)[:size]
		for i := 0; i < len(data); i += 50 {
			data[i] = byte(r.Uint32())
		}
		put("plain", data)
		for _, format := range []finit.Format{finit.Gzip, finit.XZ, finit.Zstd} {
			packed := compress(t, format, data)
			put(format.String(), packed)
			put("twice", append(bytes.Clone(packed), packed...))
			put("behind", append(bytes.Clone(packed), 'x'))
			put("short", packed[:len(packed)*3/4])
			packed[len(packed)/2] ^= 4
			put("damaged", packed)
		}
		var room Room
		defer room.Free()
		loader := finit.Loader{Unpack: InProcess}
		for _, path := range paths {
			want, wantErr := loader.Contents(path)
			got, err := room.Contents(path)
			if err != wantErr || !bytes.Equal(got, want) {
				t.Errorf("%s of %d bytes: %d bytes, %v; a loader has %d bytes, %v", filepath.Base(path), size, len(got), err, len(want), wantErr)
			}
			finit.Unmap(want)
			room.Done()
		}
		paths = nil
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	var room Room
	for _, path := range []string{fifo, "/dev/zero", dir, filepath.Join(dir, "none")} {
		if b, err := room.Contents(path); err == nil {
			t.Errorf("%s has %d bytes", path, len(b))
		}
	}
}

// TestRoomLarge: what is larger than nearly all modules comes as from a loader too, also where a file does not say its size, and keeps
// others from such only until it is done with.
func TestRoomLarge(t *testing.T) {
	data := bytes.Repeat([]byte("some words, "), oversize/12+1000)
	file := filepath.Join(t.TempDir(), "file")
	for _, format := range []finit.Format{finit.Gzip, finit.Zstd} {
		packed := compress(t, format, data)
		if err := os.WriteFile(file, packed, 0o600); err != nil {
			t.Fatal(err)
		}
		var room Room
		got, err := room.Contents(file)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%v: %d bytes, %v", format, len(got), err)
		}
		if theLarge.TryLock() {
			theLarge.Unlock()
			t.Errorf("%v: another may have such at the same time", format)
		}
		room.Free()
		if !theLarge.TryLock() {
			t.Fatalf("%v: nobody may have such any more", format)
		}
		theLarge.Unlock()
	}
}
