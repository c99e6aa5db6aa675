// SPDX-License-Identifier: Apache-2.0

//go:build vmtest

package bpf

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
)

// What the kernel starts for a key while hold is there.
const (
	keyHelper = "/sbin/request-key"
	keyHold   = "/tmp/keys.hold"
	keyBegan  = "/tmp/keys.began"
)

// askForKey is any user's program: the kernel starts a helper for it.
func askForKey() {
	_, err := unix.RequestKey("user", "safeload:"+os.Getenv("SAFELOAD_TEST_AT"), "x", unix.KEY_SPEC_PROCESS_KEYRING)
	if err != unix.ENOKEY {
		println("request_key:", err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// TestKeys: requests for keys, which any user can have as many of as he has
// processes, take no place among those for modules.
func TestKeys(t *testing.T) {
	if _, _, err := Load(PinDir, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(keyHelper); err == nil {
		t.Fatalf("%s is there already", keyHelper)
	}
	script := "#!/bin/sh\necho >>" + keyBegan + "\nwhile [ -e " + keyHold + " ]; do /bin/busybox sleep 0.2; done\nexit 1\n"
	for name, text := range map[string]string{keyHelper: script, keyHold: "", keyBegan: ""} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(name)
	}
	const n = 5
	var askers []*exec.Cmd
	for i := range n {
		c := exec.Command("/proc/self/exe")
		c.Env = append(os.Environ(), "SAFELOAD_TEST_TASK=key", "SAFELOAD_TEST_AT="+string(rune('a'+i)))
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		askers = append(askers, c)
	}
	began := func() int {
		b, _ := os.ReadFile(keyBegan)
		return bytes.Count(b, []byte("\n"))
	}
	for end := time.Now().Add(time.Minute); began() < n && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
	}
	if began() != n {
		t.Errorf("%d of %d helpers were started", began(), n)
	}
	m, err := openMaps(PinDir + "/" + layout.Staying)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	there := 0
	if err := each(m.Requests, layout.RequestSize, func(_, b []byte) {
		if b[layout.RequestName] == 0 {
			there++
		}
	}); err != nil {
		t.Fatal(err)
	}
	if there > 0 {
		t.Errorf("%d requests for keys have a place", there)
	}
	if err := os.Remove(keyHold); err != nil {
		t.Fatal(err)
	}
	for _, c := range askers {
		if err := c.Wait(); err != nil {
			t.Errorf("who asked: %v", err)
		}
	}
}
