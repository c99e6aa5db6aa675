// SPDX-License-Identifier: Apache-2.0

package bootload

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"safeload/internal/plain"
)

// Runner loads modules by their names or aliases.
type Runner struct {
	// Command is the modprobe of one name.
	Command func(name string) *exec.Cmd
	// Most is how many run at once; 0: as many as there are CPUs, at least 2.
	Most int
	// InOrder are those that keep the order among themselves in which they are asked
	// for.
	InOrder []string
	// Declined is whether a module may find that its device is not there (ENODEV): it has not failed then, and nothing is
	// said. An alias says what a module may be for, not what it will drive.
	Declined bool
	// Output gets what the modprobes say, one after the other.
	Output io.Writer
}

// refused begins the line that says that the guard has refused a load.
const refused = "safeload: refused "

// Run loads all of them and returns those that could not be. A failure stops no
// other. What the guard has refused, because two waited for each other, is tried
// once more when the others are done.
func (r *Runner) Run(names []string) (failed []string) {
	groups := r.groups(names)
	results := make([][]result, len(groups))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(r.most(), len(groups)) {
		wg.Go(func() {
			for i := range next {
				for _, name := range groups[i] {
					results[i] = append(results[i], r.load(name))
				}
			}
		})
	}
	for i := range groups {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, x := range slices.Concat(results...) {
		if !x.loaded && bytes.Contains(x.said, []byte(refused)) {
			plain.Fprintf(r.Output, "safeload: %s waited for a load that waited for it, and was refused; it is tried again alone\n", x.name)
			x = r.load(x.name)
		}
		if !x.loaded && r.Declined && onlyDeclined(x.said) {
			continue
		}
		_, _ = r.Output.Write(x.said)
		if !x.loaded {
			failed = append(failed, x.name)
		}
	}
	return failed
}

// noDevice ends modprobe's line about a module whose init returned ENODEV.
const noDevice = ": No such device"

// onlyDeclined tells whether a modprobe said that, and nothing else.
func onlyDeclined(said []byte) bool {
	for line := range strings.Lines(string(said)) {
		if !strings.HasSuffix(strings.TrimSuffix(line, "\n"), noDevice) {
			return false
		}
	}
	return len(said) > 0
}

func (r *Runner) most() int {
	if r.Most > 0 {
		return r.Most
	}
	return max(2, runtime.NumCPU())
}

// groups are what can be loaded beside each other; the names of one group are
// loaded one after the other. None is asked for twice.
func (r *Runner) groups(names []string) (groups [][]string) {
	known := map[string]bool{}
	ordered := -1
	for _, name := range names {
		// To modprobe '-' is '_', in modules and aliases. (kmod.NormalizeName is for modules alone: it cuts at a dot.)
		plain := strings.ReplaceAll(name, "-", "_")
		if known[plain] {
			continue
		}
		known[plain] = true
		keeps := slices.ContainsFunc(r.InOrder, func(o string) bool { return strings.ReplaceAll(o, "-", "_") == plain })
		if keeps && ordered >= 0 {
			groups[ordered] = append(groups[ordered], name)
			continue
		}
		if keeps {
			ordered = len(groups)
		}
		groups = append(groups, []string{name})
	}
	return groups
}

type result struct {
	name   string
	loaded bool
	said   []byte
}

// load runs one modprobe to its end.
func (r *Runner) load(name string) result {
	var said bytes.Buffer
	cmd := r.Command(name)
	// Not /dev/null, which package os/exec would open: there may be none.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, &said
	// An install command may leave something behind that holds the pipe.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if cmd.ProcessState == nil {
		said.WriteString("safeload: " + cmd.Path + ": " + err.Error() + "\n")
		return result{name, false, said.Bytes()}
	}
	return result{name, cmd.ProcessState.Success(), said.Bytes()}
}
