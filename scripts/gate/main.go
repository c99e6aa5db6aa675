// SPDX-License-Identifier: Apache-2.0

// Gate runs every test there is, or the named steps: what scripts/test.sh starts.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"safeload/internal/gate"
)

const usage = `usage: test.sh [OPTION...] [STEP...]      all that CI runs if no step is named
       test.sh --list                    the steps

  --quick        an answer in five minutes: unit tests, the comparison with kmod in small, one case on 32-bit ARM
                 with the stock system beside it
  --no-install   if a package is missing, or Go, only name it and fail
  --json FILE    also write the report there, one JSON object a line
  --junit FILE   also write it there, as JUnit's XML
  -h, --help     this text

Exit status: 0 all passed, 1 something failed, 2 usage. The last line reads "N passed, N failed".
scripts/deps.sh lists the packages that this needs; what is missing is installed, as root or by sudo.
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o := gate.Options{Repo: os.Getenv("SAFELOAD_REPO"), Out: os.Stdout}
	list := false
	files := map[string]*string{"--json": &o.JSON, "--junit": &o.JUnit}
	for i := 0; i < len(args); i++ {
		switch into := files[args[i]]; {
		case into != nil && i+1 < len(args):
			i++
			*into = args[i]
		case args[i] == "-h" || args[i] == "--help":
			fmt.Print(usage)
			return 0
		case args[i] == "--list":
			list = true
		case args[i] == "--quick":
			o.Quick = true
		case strings.HasPrefix(args[i], "-"):
			fmt.Fprint(os.Stderr, usage)
			return 2
		default:
			o.Steps = append(o.Steps, args[i])
		}
	}
	if list {
		for _, s := range gate.Steps(o.Quick) {
			fmt.Println(s.Name)
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	sum, err := gate.Run(ctx, o)
	if errors.Is(err, gate.ErrUsage) {
		fmt.Fprintf(os.Stderr, "test: %v\n%s", err, usage)
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
	}
	if ctx.Err() != nil {
		return 130
	}
	if sum.Skipped > 0 {
		fmt.Printf("%d passed, %d failed, %d skipped\n", sum.Passed, sum.Failed, sum.Skipped)
	} else {
		fmt.Printf("%d passed, %d failed\n", sum.Passed, sum.Failed)
	}
	if err != nil || sum.Failed > 0 || sum.Passed == 0 {
		return 1
	}
	return 0
}
