// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"os"
	"strings"

	"safeload/internal/rig/report"
)

const storyWidth = 74

// story prints what the two guests of the demo did, side by side.
func (r *run) story(guests []*Guest) {
	if len(guests) != 2 {
		return
	}
	stock, safe := guests[0], guests[1]
	if stock.Mode != Stock {
		stock, safe = safe, stock
	}
	fmt.Printf(`
Linux %s, module tcrypt (alg=recurse), modprobe.d: alias crypto-recurse tcrypt

    modprobe tcrypt alg=recurse                 <- you; the kernel runs tcrypt's init
      '- init: request_module("crypto-recurse") <- waits for its helper
           '- modprobe -q -- crypto-recurse     <- the helper: an alias, that is tcrypt again
                '- waits for tcrypt             <- which waits for the helper

`, stock.kernel.Release)
	left, right := column("stock modprobe (kmod)", stock), column("safeload", safe)
	for i := 0; i < max(len(left), len(right)); i++ {
		l, rr := "", ""
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			rr = right[i]
		}
		fmt.Println(strings.TrimRight(fmt.Sprintf("%-*s %s", storyWidth, l, rr), " "))
	}
	fmt.Println()
	text, _ := os.ReadFile(safe.log())
	for _, l := range ReadConsole(text).lines {
		if rest, ok := strings.CutPrefix(l, "#L# "); ok && strings.Contains(rest, "safeload: refused") {
			for _, part := range fold(strings.TrimSpace(rest), 110) {
				fmt.Println(part)
			}
		}
	}
	fmt.Println()
}

func column(title string, g *Guest) []string {
	lines := []string{title, strings.Repeat("-", len(title))}
	for _, v := range g.verdicts {
		how := "NOT AS EXPECTED: "
		if v.Outcome == report.Pass {
			how = "as expected: "
		}
		lines = append(lines, fold(how+v.Text+" ("+v.Seconds+" s)", storyWidth-4)...)
	}
	text, _ := os.ReadFile(g.log())
	for _, l := range ReadConsole(text).lines {
		if rest, ok := strings.CutPrefix(l, "#L# tcrypt: "); ok && (strings.HasPrefix(rest, "ok") || strings.HasPrefix(rest, "NOT")) {
			lines = append(lines, fold("  "+rest, storyWidth-4)...)
		}
	}
	return lines
}

// fold breaks a text at spaces.
func fold(s string, width int) []string {
	var lines []string
	for len(s) > width {
		at := strings.LastIndexByte(s[:width], ' ')
		if at <= 0 {
			at = width - 1
		}
		lines = append(lines, s[:at+1])
		s = s[at+1:]
	}
	return append(lines, s)
}
