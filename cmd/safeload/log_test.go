// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWhatHolds(t *testing.T) {
	all := parseModules("top 4096 0 - Live 0x0\nmid 4096 1 top, Live 0x0\nlow 4096 2 mid,other, Live 0x0\nown 4096 1 mid, Live 0x0\nother 4096 3 - Live 0x0\nbusy 1 2 mid, Live 0x0\nshort\ncoming 1 1 - Loading 0x0\n" +
		"stays 1 0 [permanent], Live 0x0\nneeded 1 1 top,[permanent], Live 0x0\nuncounted 4096 - - Live 0x0\n")
	for name, want := range map[string]string{
		"top":       "top is live\nheld by nobody\nwith it modprobe -r would take what nobody else holds: mid, own\n",
		"low":       "low is live\nheld by modules that need it: mid, other\n",
		"other":     "other is live\nheld by 3 others: open files, mounts, sockets, devices; which is not known\n",
		"coming":    "coming is loading\n",
		"stays":     "stays is live\npermanent: it has no exit function, and only force removes it\n",
		"needed":    "needed is live\nheld by modules that need it: top\npermanent: it has no exit function, and only force removes it\n",
		"uncounted": "uncounted is live\nwhat holds it is not known: this kernel removes no modules (CONFIG_MODULE_UNLOAD)\n",
		"none":      "none is not loaded\n",
	} {
		var b bytes.Buffer
		whatHolds(&b, all, name)
		if b.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, b.String(), want)
		}
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got, err := since("10m", now); err != nil || !got.Equal(now.Add(-10*time.Minute)) {
		t.Error(got, err)
	}
	if got, err := since("2026-01-02T03:04:05Z", now); err != nil || !got.Equal(now) {
		t.Error(got, err)
	}
	if _, err := since("yesterday", now); err == nil {
		t.Error("yesterday was understood")
	}
}

// TestFollower reads on where a file grows, and ends with its context.
func TestFollower(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	w, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan string)
	go func() {
		b := make([]byte, 1)
		if _, err := io.ReadFull(&follower{r, ctx, false}, b); err != nil {
			t.Error(err)
		}
		got <- string(b)
		if _, err := (&follower{r, ctx, false}).Read(b); err != io.EOF {
			t.Error(err)
		}
		close(got)
	}()
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "x" {
		t.Errorf("%q", s)
	}
	cancel()
	<-got
}
