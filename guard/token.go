// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/clock"
	"safeload/internal/proc"
)

const tokenVariable = "SAFELOAD_TOKEN"

// identity is who this invocation is.
type identity struct {
	known  bool
	pid    int
	start  uint64 // 0 without /proc
	parent string // the token that led to us, unproven
	depth  int    // how many invocations it says are above us
}

func (g *Guard) identify() {
	if g.self.known {
		return
	}
	g.self.known = true
	g.self.pid = unix.Getpid()
	p, err := proc.OpenProc()
	if err != nil {
		g.self.parent, g.self.depth = envToken()
		return
	}
	defer p.Close()
	if s, err := p.ProcessStat(g.self.pid); err == nil {
		g.self.start = s.Start
	}
	// The cgroup is the better witness: a command may have put a variable of
	// another into its environment, or none.
	if g.self.parent, g.self.depth = cgroupToken(p, g.self.pid); g.self.parent == "" {
		g.self.parent, g.self.depth = envToken()
	}
}

func envToken() (token string, depth int) {
	t, _ := syscall.Getenv(tokenVariable)
	token, depth, _ = parseCarried(t)
	return token, depth
}

// What is carried to the children, in the environment and as a cgroup's name,
// is the token and how many invocations they then have above them: TOKEN.N.
func carried(token string, depth int) string { return token + "." + proc.Itoa(depth) }

// maxDepth is further than any tree of commands goes; what says more is forged.
const maxDepth = 1 << 16

func parseCarried(s string) (token string, depth int, ok bool) {
	if len(s) < 34 || len(s) > 40 || s[32] != '.' || !validToken(s[:32]) {
		return "", 0, false
	}
	n, ok := proc.Uint([]byte(s[33:]))
	if !ok || n == 0 || n > maxDepth || s[33] == '0' {
		return "", 0, false
	}
	return s[:32], int(n), true
}

// newToken is 128 random bits. Before the kernel's pool is ready GRND_INSECURE
// (5.6) still answers; a token is a name, no secret that protects anything:
// the registry's owner and the writer's start time do.
func newToken() string {
	var b [16]byte
	n, err := unix.Getrandom(b[:], unix.GRND_INSECURE|unix.GRND_NONBLOCK)
	if err != nil || n != len(b) {
		if n, err = unix.Getrandom(b[:], unix.GRND_NONBLOCK); err != nil || n != len(b) {
			v := uint64(clock.Boot())
			p := uint64(unix.Getpid())
			for i := range 8 {
				b[i], b[8+i] = byte(v>>(8*i)), byte(p>>(8*i))
			}
		}
	}
	const hex = "0123456789abcdef"
	var t [32]byte
	for i, c := range b {
		t[2*i], t[2*i+1] = hex[c>>4], hex[c&15]
	}
	return string(t[:])
}

func validToken(t string) bool {
	if len(t) != 32 {
		return false
	}
	for i := 0; i < len(t); i++ {
		if c := t[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func withToken(env []string, carries string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if len(kv) <= len(tokenVariable) || kv[:len(tokenVariable)+1] != tokenVariable+"=" {
			out = append(out, kv)
		}
	}
	return append(out, tokenVariable+"="+carries)
}
