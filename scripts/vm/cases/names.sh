# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: names that any user can choose reach modprobe through the kernel: no path, no shell, no forged log line
# kernels: all
# matrix: arm-6.12 amd64-6.12 *-own
# boot: main
# limit: 60
# modules: af_alg algif_skcipher
# copies: u0
setup() {
	/stock/modprobe algif_skcipher
	cp "/lib/modules/$kver/updates/slreq_u0.ko" /tmp/evil.ko
}

check() {
	kmsg_mark
	_nl='
'
	run 40 /t/vmtool algbind 1000 "../../../tmp/evil" "/tmp/evil.ko" ";touch /tmp/pwned" "\$(touch /tmp/pwned)" \
		"a${_nl}safeload: forged line" "a${_nl}<0>safeload: forged" "%s%s%n" "[a-z]*" "-r" "--config=/tmp" \
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" "$(printf 'a\033[2Jb')"
	want "the requests came back" [ "$rc" = 0 ]
	want "no module from outside the tree" is slreq_u0 absent
	want "no shell" [ ! -e /tmp/pwned ]
	want "no forged line in the kernel's log" lacks "$(kmsg)" "^\(\[[^]]*\] \)\?safeload: forged"
	want "no Go program died" lacks "$(kmsg)" "panic:\|goroutine"
	# By file system type, a name of the mounting user's choice.
	mount -t "../../tmp/evil" none /mnt 2>/dev/null
	mount -t "x;touch /tmp/pwned" none /mnt 2>/dev/null
	want "nor by mount -t" [ ! -e /tmp/pwned ]
}
