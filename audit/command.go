// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"path"
	"slices"
	"strings"
)

// commanded is a module or alias that an install command loads.
type commanded struct {
	name string
	// direct: whatever install command the name itself has is passed over.
	direct bool
	remove bool // it is to be removed
}

// commandLoads finds what a command has modprobe or insmod load.
func commandLoads(command string) []commanded {
	return slices.DeleteFunc(commandCalls(command), func(c commanded) bool { return c.remove })
}

// commandCalls finds, in the text of an install or remove command, what it has
// modprobe or insmod load, or modprobe remove. It reads words, as a shell would split them, not the shell's
// language: of two branches it sees both, of a script's file nothing.
func commandCalls(command string) (out []commanded) {
	loader := "" // of the simple command at hand: modprobe, insmod, or none yet
	all, ignore, remove, done, skip := false, false, false, false, false
	for _, w := range shellWords(command) {
		if strings.Trim(w, ";&|(){}\n") == "" {
			loader, all, ignore, remove, done, skip = "", false, false, false, false, false
			continue
		}
		switch base := path.Base(w); {
		case loader == "":
			switch strings.TrimPrefix(base, "safeload-") {
			case "modprobe", "insmod":
				loader = strings.TrimPrefix(base, "safeload-")
			}
		case skip:
			skip = false
		case strings.HasPrefix(w, "-"):
			switch {
			case w == "--ignore-install" || w == "--ignore-remove" || w == "-i":
				ignore = true
			case w == "-r" || w == "--remove":
				remove = true
			case w == "-a" || w == "--all":
				all = true
			case w == "-R" || w == "--resolve-alias" || w == "-n" || w == "--dry-run" || w == "--show":
				done = true
			case w == "-C" || w == "-d" || w == "-S":
				skip = true
			}
		case done || strings.ContainsAny(w, "$`<>"):
		case loader == "insmod":
			name, _, _ := strings.Cut(base, ".")
			out = append(out, commanded{name: name, direct: true})
			done = true
		default:
			out = append(out, commanded{w, ignore, remove})
			done = !all && !remove
		}
	}
	return out
}

// shellWords splits at blanks and at what ends a simple command, which become
// words of their own. Quotes are dropped: what stands in those of sh -c is a
// command too.
func shellWords(s string) (words []string) {
	var b strings.Builder
	end := func() {
		if b.Len() > 0 {
			words = append(words, b.String())
			b.Reset()
		}
	}
	for _, c := range s {
		switch {
		case strings.ContainsRune(" \t'\"", c):
			end()
		case strings.ContainsRune(";&|(){}\n", c):
			end()
			words = append(words, string(c))
		default:
			b.WriteRune(c)
		}
	}
	end()
	return words
}
