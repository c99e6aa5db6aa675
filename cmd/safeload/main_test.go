// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"safeload": main, "modprobe": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

func TestModuleName(t *testing.T) {
	for file, want := range map[string]string{
		"/lib/modules/x/aes-arm-bs.ko": "aes_arm_bs", "snd.ko.xz": "snd", "./a": "a",
	} {
		if got := moduleName(file); got != want {
			t.Errorf("moduleName(%q) = %q, want %q", file, got, want)
		}
	}
}
