// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	file := filepath.Join(dir, "times")
	steps := []Step{{Name: "one"}, {Name: "two"}, {Name: "besides", beside: true}, {Name: "last", holds: true}}
	p := newProgress(out, file)
	p.total(steps)
	now := time.Now()
	if _, ok := p.remaining(now); ok {
		t.Error("what never ran has a time")
	}
	for _, s := range steps {
		p.started(s)
		p.ended(done{step: s, took: 60 * time.Second})
	}
	p.end()

	p = newProgress(out, file) // it has what the first has seen
	p.total(steps)
	if left, ok := p.remaining(now); !ok || left != time.Minute {
		t.Errorf("%s, %v", left, ok)
	}
	p.started(steps[0])
	p.running["one"] = now.Add(-20 * time.Second)
	if text := p.text(now); !strings.Contains(text, "0 of 4 steps done") || !strings.HasSuffix(text, "about 1m0s to go; running: one 20 s") {
		t.Error(text)
	}
	p.ended(done{step: steps[0], took: time.Minute})
	if text := p.text(now); !strings.Contains(text, "1 of 4 steps done") {
		t.Error(text)
	}
	if text, err := os.ReadFile(out.Name()); err != nil || len(text) > 0 {
		t.Errorf("in a file that nobody looks at: %q, %v", text, err)
	}
}
