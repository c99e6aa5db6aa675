// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/clock"
	"safeload/internal/proc"
)

// TokenVariable is what carries the token in the environment.
const TokenVariable = "SAFELOAD_TOKEN"

// EnvToken is the token that our environment carries.
func EnvToken() (token string, depth int) {
	t, _ := syscall.Getenv(TokenVariable)
	token, depth, _ = ParseCarried(t)
	return token, depth
}

// Carry is what is carried to the children, in the environment and as a cgroup's name,
// the token and how many invocations they then have above them: TOKEN.N.
func Carry(token string, depth int) string { return token + "." + proc.Itoa(depth) }

// maxDepth is further than any tree of commands goes; what says more is forged.
const maxDepth = 1 << 16

// ParseCarried reads what Carry wrote.
func ParseCarried(s string) (token string, depth int, ok bool) {
	if len(s) < 34 || len(s) > 40 || s[32] != '.' || !validToken(s[:32]) {
		return "", 0, false
	}
	n, ok := proc.Uint([]byte(s[33:]))
	if !ok || n == 0 || n > maxDepth || s[33] == '0' {
		return "", 0, false
	}
	return s[:32], int(n), true
}

// NewToken is 128 random bits. Before the kernel's pool is ready GRND_INSECURE
// (5.6) still answers; a token is a name, no secret that protects anything:
// the registry's owner and the writer's start time do.
func NewToken() string {
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

// WithToken is an environment that carries this token, and no other.
func WithToken(env []string, carries string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if len(kv) <= len(TokenVariable) || kv[:len(TokenVariable)+1] != TokenVariable+"=" {
			out = append(out, kv)
		}
	}
	return append(out, TokenVariable+"="+carries)
}
