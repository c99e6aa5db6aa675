// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
)

// allowance is a difference that docs/kmod-differences.md explains. apply
// changes outcomes so that they are equal if only it is between them, and
// says whether it did.
type allowance struct {
	id, what string
	apply    func(peer string, c *testCase, want, got *outcome) bool
}

var allowances = []allowance{}

// checkDocs fails if the document leaves out an allowed difference.
func checkDocs(path string) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, a := range allowances {
		if !strings.Contains(string(b), "`"+a.id+"`") {
			return fmt.Errorf("%s does not describe the allowed difference %q", path, a.id)
		}
	}
	return nil
}
