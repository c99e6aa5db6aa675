# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: an unprivileged user chooses names (AF_ALG, socket, mount): they do reach modprobe, and lead to no path, shell or forged line
# kernels: all
# matrix: arm-6.12 amd64-6.12 *-own
# boot: main
# limit: 120
# modules: af_alg algif_skcipher
# copies: u0 u1
setup() {
	/stock/modprobe algif_skcipher
	cp "/lib/modules/$kver/updates/slreq_u0.ko" /tmp/user-evil.ko
	far 6
	{
		echo "options slreq_u1 hold_ms=$((far * 1000))"
		echo "alias fs-hostile* slreq_u1"
	} | conf names-user
}

trace=/sys/kernel/tracing
nl='
'
# asked PATTERN...: the kernel asked for each of these, as its own trace says.
asked() {
	for _p; do grep -q "module_request: $_p wait=" $trace/trace || { log "$case: not asked for: $_p"; return 1; }; done
}

# The second waits in user space, or as a stranger in the kernel: both are written down.
registered() { grep -q '^request=fs-hostile.module' /run/safeload/[0-9]*; }

check() {
	kmsg_mark
	echo 0 >$trace/tracing_on
	: >$trace/trace
	echo 1 >$trace/events/module/module_request/enable
	echo 1 >$trace/tracing_on
	set -- "../../../tmp/user-evil" "/tmp/user-evil.ko" "x/../../../tmp/user-evil" ";touch /tmp/user-pwned" "\$(touch /tmp/user-pwned)" "\`touch /tmp/user-pwned\`" \
		"a${nl}safeload: forged line" "a${nl}<0>safeload: forged" "%s%s%n" "[a-z]*" "-r" "--config=/tmp" "'" '"' "\\" \
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" "$(printf 'a\033[2Jb')" "$(printf '\377\376')" "$(printf '%04000d' 7)"
	run 60 /t/vmtool algbind 1000 "$@"
	want "AF_ALG: the requests came back" [ "$rc" = 0 ]
	run 60 /t/vmtool mountas 1000 "$@"
	grep -v ' no such device,' "$out" | cut -c1-120 | sed 's/^/#L# names-user: mount: /'
	want "mount -t: the requests came back" [ "$rc" = 0 ]
	want "mount -t: none took 2 s" lacks "$out" ", \([2-9][0-9]\{3\}\|[0-9]\{5,\}\) ms"
	run 60 /t/vmtool sockets 1000
	want "sockets: the requests came back" [ "$rc" = 0 ]
	# That they reached modprobe at all. A file system's name ends before its first dot, and a name that
	# is too long is not asked for; 7.x asks for no unknown algorithm.
	want "the kernel asked for file systems of these names" asked "fs-x/" "fs-;touch /tmp/user-pwned" 'fs-%s%s%n' "fs--r" "fs---config=/tmp" "fs-\\[a-z\\]\\*"
	want "the kernel asked for families and protocols" asked "net-pf-9" "net-pf-2-proto-200-type-5"
	case $kver in
	6.*) want "the kernel asked for algorithms of these names" asked "crypto-;touch /tmp/user-pwned" "crypto-../../../tmp/user-evil" "crypto-/tmp/user-evil.ko" ;;
	esac
	want "no module from outside the tree" is slreq_u0 absent
	want "no shell" [ ! -e /tmp/user-pwned ]
	want "no forged line in the kernel's log" lacks "$(kmsg)" "^\(\[[^]]*\] \)\?safeload: forged"
	want "nothing of safeload's in the kernel's log" lacks "$(kmsg)" "safeload"
	want "no Go program died" lacks "$(kmsg)" "panic:\|goroutine"
	echo 0 >$trace/events/module/module_request/enable

	# A name that finds a module, and is written down: the second waits for the first one's load.
	start names-user-1 /t/vmtool mountas 1000 hostile
	wait_for 30 is slreq_u1 coming
	start names-user-2 /t/vmtool mountas 1000 "hostile${nl}module=forged${nl}state=command$(printf '\033')c"
	wait_for 30 registered
	cat /run/safeload/[0-9]*.[0-9]* >/tmp/names.registry 2>/dev/null
	want "the name is in the registry" has /tmp/names.registry '^request=fs-hostile?module=forged?state=command?c$'
	want "it is one line there" lacks /tmp/names.registry "^module=forged\|^state=command"
	run 20 /safe/safeload status
	want "status shows it as one line" has "$out" 'fs-hostile?module=forged?state=command?c'
	want "status: no line of the name's" lacks "$out" "^module=\|^state="
	finish names-user-1 30
	want "the first came back" [ "$rc" = 0 ]
	finish names-user-2 30
	want "the second came back" [ "$rc" = 0 ]
	want "its module is live" is slreq_u1 live
	unload slreq_u1
}
