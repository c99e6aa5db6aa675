// SPDX-License-Identifier: Apache-2.0

// Package conf reads safeload.conf(5): what the guard of a module load may do
// and how long it looks before it does.
//
// The kernel's helper reads it only once a module is found coming, so that the
// many loads and failed lookups of a boot do not pay for it. It imports
// nothing but the system calls.
package conf

import "time"

// Policy is what the guard does about a load that waits for itself.
type Policy uint8

const (
	// Refuse refuses what is proven at once, and what is suspected after
	// Settings.Patience.
	Refuse Policy = iota
	// Proven refuses what is proven, and waits on what is suspected for as
	// long as the kernel would.
	Proven
	// Observe refuses nothing: it says what would have been refused and
	// loads as kmod does.
	Observe
	// Off does not look at all.
	Off
	// Bold is Refuse, and suspects what nothing tells apart from a stranger's
	// request, too.
	Bold
)

var policies = [...]string{Refuse: "refuse", Proven: "proven", Observe: "observe", Off: "off", Bold: "bold"}

func (p Policy) String() string { return policies[p] }

// Settings are what the files and the kernel's command line say.
type Settings struct {
	Policy Policy
	// Patience is for how long everything that could move must have stood
	// still before a suspected recursion is refused. 0 means never.
	Patience time.Duration
	// Exempt are modules, in the kernel's spelling, that the guard lets pass
	// without a look.
	Exempt []string
}

// DefaultPatience is a sixth of the 60 seconds after which the crypto core
// gives an algorithm up (crypto_larval_wait in crypto/api.c): a suspected
// recursion is broken while breaking it still helps.
const DefaultPatience = 10 * time.Second

// MaxPatience is an hour: longer is taken for a mistake.
const MaxPatience = time.Hour

// Default returns the settings of a system without any file.
func Default() Settings { return Settings{Patience: DefaultPatience} }

// Exempts tells whether the guard is to let a module pass. Either spelling
// ('-' or '_') will do.
func (s *Settings) Exempts(module string) bool {
	for _, e := range s.Exempt {
		if sameModule(e, module) {
			return true
		}
	}
	return false
}

func sameModule(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if kernelByte(a[i]) != kernelByte(b[i]) {
			return false
		}
	}
	return true
}

func kernelByte(c byte) byte {
	if c == '-' {
		return '_'
	}
	return c
}

// Dirs are the directories of safeload.conf(5), with modprobe.d(5)'s
// precedence: a file masks those of the same name in later directories, and
// files are read in the order of their names.
var Dirs = []string{
	"/etc/safeload.d",
	"/run/safeload.d",
	"/usr/local/lib/safeload.d",
	"/usr/lib/safeload.d",
	"/lib/safeload.d",
}

// WarnFunc is told of what was not understood or not trusted: one line without
// a newline. It must not be nil where one is asked for.
type WarnFunc func(message string)

// Read reads the configuration of the running system: the files of [Dirs],
// then the words "safeload.KEY=VALUE" of the kernel's command line, which win.
// It never fails: what cannot be read or trusted is warned about and passed
// over, and the rest counts.
func Read(warn WarnFunc) Settings {
	s := ReadDirs(Dirs, 0, warn)
	s.cmdline(readCmdline("/proc/cmdline"), warn)
	return s
}

// ReadDirs reads the files of dirs alone. Files and directories must belong to
// owner and be writable by nobody else.
func ReadDirs(dirs []string, owner uint32, warn WarnFunc) Settings {
	s := Default()
	for _, f := range list(dirs, owner, warn) {
		path := f.dir + "/" + f.name
		if text, ok := readTrusted(path, owner, warn); ok {
			s.parse(path, text, warn)
		}
	}
	return s
}
