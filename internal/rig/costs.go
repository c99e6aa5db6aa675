// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// costs says what of a processor each case of a guest took: the guest's own clock cannot tell, as it may count
// instructions and skip what it is idle. It is as exact as the second in which the console is looked at.
type costs struct {
	console string
	pid     int
	seen    int           // verdicts
	spent   time.Duration // when the last of these was seen
	by      map[string]time.Duration
}

// look gives the cases whose verdicts are new what was spent since the last look that found one.
func (c *costs) look() {
	text, err := os.ReadFile(c.console)
	if err != nil {
		return
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid))
	if err != nil {
		return
	}
	if spent, ok := processorTime(stat); ok {
		c.take(text, spent)
	}
}

func (c *costs) take(console []byte, spent time.Duration) {
	cases := finished(console)
	if len(cases) <= c.seen {
		return
	}
	fresh := cases[c.seen:]
	for _, name := range fresh {
		c.by[name] += (spent - c.spent) / time.Duration(len(fresh))
	}
	c.seen, c.spent = len(cases), spent
}

// finished are the cases that have given a verdict, in their order. The last line may not be whole.
func finished(console []byte) []string {
	var names []string
	for l := range bytes.Lines(console) {
		if _, rest, ok := strings.Cut(string(l), "#R# "); ok && strings.HasSuffix(rest, "\n") {
			name, _, _ := strings.Cut(rest, "|")
			names = append(names, name)
		}
	}
	return names
}

// processorTime reads utime and stime of /proc/PID/stat, which counts in hundredths of a second (proc_pid_stat(5)). The
// program's name before them may hold anything.
func processorTime(stat []byte) (time.Duration, bool) {
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err1 == nil && err2 == nil
}

// String names the dearest first, without what took less than a second.
func (c *costs) String() string {
	if c == nil {
		return ""
	}
	var said []string
	for _, name := range slices.SortedFunc(maps.Keys(c.by), func(a, b string) int { return int(c.by[b] - c.by[a]) }) {
		if c.by[name] >= time.Second {
			said = append(said, fmt.Sprintf("%s %.0f", name, c.by[name].Seconds()))
		}
	}
	return strings.Join(said, ", ")
}

// writeCosts says where the time of a processor went: by kernel, and the dearest guests with their cases.
func writeCosts(w io.Writer, guests []*Guest) {
	const most = 15
	var sum time.Duration
	by := map[string]time.Duration{}
	for _, g := range guests {
		by[g.label()] += g.cpu
		sum += g.cpu
	}
	fmt.Fprintf(w, "%.0f s of a processor in %d guests:", sum.Seconds(), len(guests))
	for _, k := range slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Compare(by[b], by[a]) }) {
		fmt.Fprintf(w, " %s %.0f", k, by[k].Seconds())
	}
	fmt.Fprintln(w)
	dearest := slices.SortedStableFunc(slices.Values(guests), func(a, b *Guest) int { return cmp.Compare(b.cpu, a.cpu) })
	for _, g := range dearest[:min(most, len(dearest))] {
		fmt.Fprintf(w, "%5.0f s (clock %.0f s) %s: %s\n", g.cpu.Seconds(), g.took.Seconds(), g.name(), g.costs)
	}
}
