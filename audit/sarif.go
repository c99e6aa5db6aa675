// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"io"
	"strings"
)

// What SARIF 2.1.0 calls what is written here.
type (
	sarifLog struct {
		Version string     `json:"version"`
		Schema  string     `json:"$schema"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string    `json:"id"`
		Short   sarifText `json:"shortDescription"`
		Default struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Baseline     string            `json:"baselineState"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
		} `json:"physicalLocation"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
)

// sarifRanks are the rules: one for each rank of a finding.
var sarifRanks = [...]struct{ level, about, waits string }{
	Certain:         {"error", "A module's init requests itself and waits", "A module holds what the load of a module that it requests waits for"},
	Likely:          {"warning", "A module's init requests itself; one step is not sure", "A module holds what the load of a module that it requests waits for; one step is not sure"},
	Possible:        {"note", "A module's init may request itself; several steps are not sure", "A module may hold what the load of a module that it requests waits for; several steps are not sure"},
	ParameterDriven: {"note", "A module's init requests what a parameter says", ""},
}

// WriteSARIF writes the results of all trees as one SARIF 2.1.0 log.
func WriteSARIF(w io.Writer, version string, results []*Result, known func(id string) bool) error {
	driver := sarifDriver{Name: "safeload audit", Version: version}
	for i, rank := range sarifRanks {
		r := sarifRule{ID: "module-recursion/" + Rank(i).String(), Short: sarifText{rank.about}}
		r.Default.Level = rank.level
		driver.Rules = append(driver.Rules, r)
	}
	for i, rank := range sarifRanks[:ParameterDriven] {
		r := sarifRule{ID: "module-wait/" + Rank(i).String(), Short: sarifText{rank.waits}}
		r.Default.Level = rank.level
		driver.Rules = append(driver.Rules, r)
	}
	found := []sarifResult{}
	for _, r := range results {
		for i := range r.Findings {
			found = append(found, sarifFinding(&r.Findings[i], known))
		}
	}
	one := sarifRun{Results: found}
	one.Tool.Driver = driver
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	return e.Encode(sarifLog{"2.1.0", "https://json.schemastore.org/sarif-2.1.0.json", []sarifRun{one}})
}

func sarifFinding(f *Finding, known func(id string) bool) sarifResult {
	id := f.ID()
	r := sarifResult{RuleID: "module-recursion/" + f.Rank.String(), Level: sarifRanks[f.Rank].level, Message: sarifText{f.Title()},
		Fingerprints: map[string]string{"safeload/v1": id}, Baseline: "new"}
	if known(id) {
		r.Baseline = "unchanged"
	}
	for _, h := range f.Hops {
		r.Message.Text += "\n" + clean(h.Module+": "+strings.Join(h.Route, " -> "))
	}
	if f.Wait != nil {
		r.RuleID = "module-wait/" + f.Rank.String()
		r.Message.Text += "\n" + strings.Join(f.Wait.says(), "\n")
	}
	var l sarifLocation
	l.Physical.Artifact.URI = f.File
	r.Locations = []sarifLocation{l}
	return r
}
