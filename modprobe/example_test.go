// SPDX-License-Identifier: Apache-2.0

package modprobe_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"

	"safeload/guard"
	"safeload/modprobe"
)

// A program loads what it needs and tells apart why it could not.
func ExampleLoader_Load() {
	m, err := modprobe.New(modprobe.Options{Log: func(line string) { fmt.Fprintln(os.Stderr, line) }})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	err = m.Load(context.Background(), "wireguard")
	var refused *guard.Refused
	switch {
	case err == nil:
	case errors.Is(err, modprobe.ErrNotFound):
		log.Fatal("this kernel has no wireguard: ", err)
	case errors.As(err, &refused):
		log.Fatalf("it would wait for itself, over %d hops: %v", len(refused.Chain), err)
	case errors.Is(err, syscall.EPERM):
		log.Fatal("no CAP_SYS_MODULE: ", err)
	default:
		log.Fatal(err)
	}
}

// An initramfs builder asks which files a module needs, in a tree that is not
// the running system's.
func ExampleLoader_Plan() {
	image, err := os.MkdirTemp("", "image")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(image)
	m, err := modprobe.New(modprobe.Options{Root: image, Release: "6.12.0"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	steps, err := m.Plan("ext4")
	if errors.Is(err, modprobe.ErrNotFound) {
		fmt.Println("no ext4 in the image")
	}
	for _, s := range steps {
		fmt.Println(s.Path, s.Params)
	}
	// Output: no ext4 in the image
}
