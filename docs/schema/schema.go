// SPDX-License-Identifier: Apache-2.0

// Package schema holds the JSON Schemas (draft 2020-12) of what safeload's commands write with --json, and checks output
// against them. It is for tests: no program of safeload links it.
package schema

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed *.schema.json
var files embed.FS

// Names are what can be given to [Check].
func Names() []string {
	list, _ := files.ReadDir(".")
	var names []string
	for _, f := range list {
		names = append(names, strings.TrimSuffix(f.Name(), ".schema.json"))
	}
	return names
}

// Check reads JSON objects, one after the other, and holds each to the schema of a name. It gives their types, in order. No
// object at all is an error.
func Check(name string, r io.Reader) (types []string, err error) {
	file := name + ".schema.json"
	text, err := files.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("no schema %q, only %q", name, Names())
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(path.Base(file), document); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	compiled, err := compiler.Compile(path.Base(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for in := json.NewDecoder(r); ; {
		var raw json.RawMessage
		if err := in.Decode(&raw); errors.Is(err, io.EOF) {
			if types == nil {
				return nil, errors.New("no object")
			}
			return types, nil
		} else if err != nil {
			return types, fmt.Errorf("object %d: %w", len(types)+1, err)
		}
		object, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return types, fmt.Errorf("object %d: %w", len(types)+1, err)
		}
		if err := compiled.Validate(object); err != nil {
			return types, fmt.Errorf("object %d: %w\n%s", len(types)+1, err, raw)
		}
		fields, _ := object.(map[string]any)
		kind, _ := fields["type"].(string)
		types = append(types, kind)
	}
}
