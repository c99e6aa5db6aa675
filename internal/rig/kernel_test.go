// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A board boots with the device tree of its own kernel, wherever that is; where there is none, the error says what to name.
func TestDeviceTree(t *testing.T) {
	m, err := machineFor("orangepi-pc", "arm")
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	for _, at := range []string{"debian/usr/lib/linux-image-6.12/allwinner", "both/usr/lib/linux-image-6.12/allwinner", "installed/boot/dtbs/6.12/allwinner",
		"tree/arch/arm/boot/dts/allwinner", "old/arch/arm/boot/dts"} {
		dir := filepath.Join(top, at)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, m.DTB), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(top, name) }
	own := Options{Image: in("zImage"), Modules: in("modules")}
	for _, test := range []struct {
		dir     string
		options func(*Options)
		want    string // where it is found, or what the error says
	}{
		{"debian", func(o *Options) { *o = Options{} }, "debian/usr/lib/linux-image-6.12/allwinner"},
		{"own", func(o *Options) { o.Modules = in("both") }, "both/usr/lib/linux-image-6.12/allwinner"},
		{"own", func(o *Options) { o.Modules = in("installed") }, "installed/boot/dtbs/6.12/allwinner"},
		{"own", func(o *Options) { o.Headers = in("tree") }, "tree/arch/arm/boot/dts/allwinner"},
		{"own", func(o *Options) { o.Headers = in("old") }, "old/arch/arm/boot/dts"},
		{"own", func(o *Options) { o.Headers, o.DTB = in("tree"), in("mine.dtb") }, "mine.dtb"},
		{"debian", func(o *Options) {}, "--dtb"}, // not another kernel's
		{"own", func(o *Options) { *o = Options{} }, "is not below"},
	} {
		o := own
		test.options(&o)
		got, err := (&kitchen{options: o}).deviceTree(Prepared{Dir: in(test.dir), Release: "6.12"}, m)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, test.want) || (err == nil) != strings.HasPrefix(got, top) {
			t.Errorf("%+v: %q, %v; want %q", o, got, err, test.want)
		}
	}
}

// Which kernels a request means, and which requests make no sense.
func TestSelectKernels(t *testing.T) {
	for _, test := range []struct {
		options Options
		want    string // keys, or part of the error
	}{
		{Options{Machine: "orangepi-pc"}, "arm-6.12"},
		{Options{Machine: "orangepi-pc", Series: "6.1"}, "arm-6.1"},
		{Options{Machine: "virt64"}, "arm64-6.12"},
		{Options{Machine: "orangepi-pc", Image: "z", Modules: "m"}, "arm-own"},
		{Options{Machine: "orangepi-pc", Image: "z", Modules: "m", DTB: "d"}, "arm-own"},
		{Options{Arch: "amd64", Image: "z", Modules: "m"}, "amd64-own"},
		{Options{SeedKernel: true}, "arm-own"},
		{Options{Image: "z", Modules: "m"}, "--kernel-image needs --arch"},
		{Options{Machine: "none", Image: "z", Modules: "m"}, "--kernel-image needs --arch"},
		{Options{Machine: "orangepi-pc", Arch: "arm64", Image: "z", Modules: "m"}, "--kernel-image needs --arch"},
		{Options{Arch: "arm", Image: "z"}, "needs --modules"},
		{Options{Arch: "arm", DTB: "d"}, "--dtb is for a board"},
		{Options{Machine: "virt", DTB: "d"}, "--dtb is for a board"},
		{Options{SeedKernel: true, Machine: "orangepi-pc"}, "for the machine virt alone"},
		{Options{Arch: "arm", Series: "2.4"}, "no kernel for"},
	} {
		o := test.options
		o.Repo, o.Cache = "../..", t.TempDir()
		r, err := newRun(o)
		if err != nil {
			var wrong *UsageError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v: %v; want %q", test.options, err, test.want)
			}
			continue
		}
		var keys []string
		for _, k := range r.kernels {
			keys = append(keys, k.Key)
		}
		r.clean()
		if got := strings.Join(keys, " "); got != test.want {
			t.Errorf("%+v: %s, want %s", test.options, got, test.want)
		}
	}
}
