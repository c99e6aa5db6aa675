// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// roomsListed checks that CONTRIBUTING's table of packages has each of them, and none that is gone.
func roomsListed(j *job) error {
	text, err := os.ReadFile(filepath.Join(j.repo, "CONTRIBUTING.md"))
	if err != nil {
		return err
	}
	packages, err := j.output("go", "list", "./...")
	if err != nil {
		return err
	}
	return rooms(string(text), string(packages))
}

var (
	inBackquotes = regexp.MustCompile("`([^`\\s]+)`")
	firstColumn  = regexp.MustCompile("(?m)^\\| `([^`\\s]+)` \\|")
)

// rooms compares the section Rooms with what go list prints. What is below scripts is not safeload, and completion has
// tests alone.
func rooms(text, packages string) (err error) {
	_, text, _ = strings.Cut(text, "\n## Rooms\n")
	text, _, _ = strings.Cut(text, "\n##")
	named := map[string]bool{}
	for _, m := range inBackquotes.FindAllStringSubmatch(text, -1) {
		named[m[1]] = true
	}
	there := map[string]bool{}
	for p := range strings.Lines(packages) {
		_, name, _ := strings.Cut(strings.TrimSpace(p), "/") // without the module
		there[name] = true
		if !named[name] && name != "completion" && !strings.HasPrefix(name, "scripts/") {
			err = errors.Join(err, fmt.Errorf("CONTRIBUTING.md: the table of packages does not say what `%s` is about", name))
		}
	}
	for _, m := range firstColumn.FindAllStringSubmatch(text, -1) {
		if !there[m[1]] {
			err = errors.Join(err, fmt.Errorf("CONTRIBUTING.md: the table of packages has `%s`, which is none", m[1]))
		}
	}
	return err
}
