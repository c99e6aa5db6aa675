// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"safeload/guard"
	"safeload/modprobe"
)

func init() { tools["library"] = library }

// library loads by package modprobe, all names at once by one Loader, and prints a line for each: the name and "ok", or what
// errors.Is finds in the error. With -r it removes them, one after the other.
//
//	vmtool library [-r] NAME...
func library(args []string) int {
	m, err := modprobe.New(modprobe.Options{Log: func(line string) { fmt.Println("log:", line) }})
	if err != nil {
		return fatal("library: %v", err)
	}
	defer m.Close()
	remove := len(args) > 0 && args[0] == "-r"
	if remove {
		args = args[1:]
	}
	errs := make([]error, len(args))
	var wg sync.WaitGroup
	for i, name := range args {
		if remove {
			errs[i] = m.Unload(context.Background(), name)
			continue
		}
		wg.Go(func() { errs[i] = m.Load(context.Background(), name) })
	}
	wg.Wait()
	for i, name := range args {
		fmt.Println(name, class(errs[i]))
	}
	if slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		return 1
	}
	return 0
}

// class is what a program would tell an error by.
func class(err error) string {
	if err == nil {
		return "ok"
	}
	var refused *guard.Refused
	text := "failed"
	switch {
	case errors.As(err, &refused):
		text = fmt.Sprintf("refused over %d hops", len(refused.Chain))
	case errors.Is(err, modprobe.ErrNotFound):
		text = "not found"
	case errors.Is(err, modprobe.ErrBlacklisted):
		text = "blacklisted"
	case errors.Is(err, modprobe.ErrInUse):
		text = "in use"
	case errors.Is(err, modprobe.ErrNotLoaded):
		text = "not loaded"
	}
	fmt.Fprintln(os.Stderr, err)
	return text
}
