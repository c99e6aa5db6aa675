// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// A Package is one paragraph of a control file, or of an index of packages.
type Package struct {
	Name, Version, Architecture string
	PreDepends, Depends         []Dependency
}

// A Dependency is one of a list: alternatives, the preferred one first.
type Dependency []string

// ReadPackages reads paragraphs of control data, as deb-control(5) and Packages have them. Fields that nobody asks for are
// passed over. It ends when f says false.
func ReadPackages(r io.Reader, f func(Package) bool) error {
	in := bufio.NewReader(r)
	var p Package
	some, field := false, ""
	values := map[string]string{}
	give := func() bool {
		if !some {
			return true
		}
		p = Package{Name: values["package"], Version: values["version"], Architecture: values["architecture"],
			PreDepends: dependencies(values["pre-depends"]), Depends: dependencies(values["depends"])}
		some = false
		clear(values)
		return f(p)
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return err
		}
		text := strings.TrimRight(line, "\r\n")
		switch {
		case line == "" && err == io.EOF:
		case strings.TrimSpace(text) == "":
			if !give() {
				return nil
			}
			field = ""
		case text[0] == ' ' || text[0] == '\t':
			if field == "" {
				return fmt.Errorf("control data: %q goes on with no field", text)
			}
			if wanted(field) {
				values[field] += " " + strings.TrimSpace(text)
			}
		default:
			name, value, ok := strings.Cut(text, ":")
			if !ok || name == "" {
				return fmt.Errorf("control data: %q is no field", text)
			}
			some, field = true, strings.ToLower(name)
			if wanted(field) {
				values[field] = strings.TrimSpace(value)
			}
		}
		if err == io.EOF {
			give()
			return nil
		}
	}
}

func wanted(field string) bool {
	switch field {
	case "package", "version", "architecture", "pre-depends", "depends":
		return true
	}
	return false
}

// dependencies reads "a (>= 1) | b, c:any": names without versions, architectures and profiles.
func dependencies(list string) []Dependency {
	var all []Dependency
	for item := range strings.SplitSeq(list, ",") {
		var d Dependency
		for alternative := range strings.SplitSeq(item, "|") {
			name := strings.TrimSpace(alternative)
			if end := strings.IndexAny(name, " (:[<"); end >= 0 {
				name = name[:end]
			}
			if name != "" {
				d = append(d, name)
			}
		}
		if len(d) > 0 {
			all = append(all, d)
		}
	}
	return all
}

// First is the first dependency whose preferred package has a name that fits, or empty.
func (p Package) First(fits func(name string) bool) string {
	for _, d := range append(p.PreDepends[:len(p.PreDepends):len(p.PreDepends)], p.Depends...) {
		if fits(d[0]) {
			return d[0]
		}
	}
	return ""
}

// Libraries are the shared libraries that the package depends on, as Debian names their packages.
func (p Package) Libraries() []string {
	var names []string
	for _, d := range append(p.PreDepends[:len(p.PreDepends):len(p.PreDepends)], p.Depends...) {
		if strings.HasPrefix(d[0], "lib") || d[0] == "zlib1g" {
			names = append(names, d[0])
		}
	}
	return names
}
