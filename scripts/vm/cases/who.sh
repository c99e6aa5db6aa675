# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload log says who asked: a process, a kernel thread and a work item of a load, a user's socket, a container, udev; why each module came
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: probe
# limit: 120
# modules: af_alg algif_skcipher algif_hash
# copies: w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 wa
# extra: udev
setup() {
	# Each is slow, so that who asked for it is still there when he is looked at, on a slow machine too.
	for _i in 0 2 4 5 6 a; do echo "options slreq_w$_i hold_ms=500"; done >/tmp/who.conf
	{
		cat /tmp/who.conf
		echo "options slreq_w1 req=who-thread via=kthread"
		echo "options slreq_w3 req=who-work via=work"
		echo "alias fs-who-process slreq_w0"
		echo "alias who-thread slreq_w2"
		echo "alias who-work slreq_w4"
		echo "alias crypto-who-user slreq_w5"
		echo "alias fs-who-box slreq_w6"
		echo "alias platform:sldev slreq_wa"
		echo "install fs-who-command /safe/modprobe slreq_w7; true"
		echo "softdep slreq_w8 pre: slreq_w9"
		echo "alias fs-who-needs slreq_w8"
		echo "alias fs-who-needs sluse"
	} | conf who
}

# entry TYPE PATTERN TEXT...: the line of the log that has the pattern has each of these texts.
entry() {
	_type=$1 _key=$2; shift 2
	grep "\"type\":\"$_type\"" "$logged" | grep -e "$_key" >/tmp/who.entry || { log "$case: no $_type with $_key"; return 1; }
	for _t; do grep -q -e "$_t" /tmp/who.entry || { log "$case: $_key has no $_t: $(head -c 1500 /tmp/who.entry)"; return 1; }; done
}

# udev NAME: the real one, which loads what one device asks for.
udev() {
	mkdir -p /etc/udev/rules.d
	echo 'ACTION=="add", ENV{MODALIAS}=="platform:sldev", RUN{builtin}+="kmod load platform:sldev"' >/etc/udev/rules.d/80-who.rules
	start "$1" systemd-udevd
	wait_for 30 test -e /run/udev/control
	/t/vmtool load "/lib/modules/$kver/updates/sldev.ko" device=1
	wait_for 30 is slreq_wa live
	kill "$(pid_of "$1")"
	finish "$1" 30
	rm -r /etc/udev
}

box=docker-0123456789abcdef0123456789abcdef.scope

check() {
	/stock/modprobe algif_skcipher
	want "the watch starts" watch_begin --record /run/who
	start who-process mount -t who-process none /tmp; finish who-process 30
	_process=$(pid_of who-process)
	start who-thread /safe/modprobe slreq_w1; finish who-thread 30
	start who-work /safe/modprobe slreq_w3; finish who-work 30
	# A user who has logged in, by what PAM says of him (pam_loginuid), and has changed his uid since.
	start who-user sh -c 'echo 1234 >/proc/self/loginuid; exec /t/vmtool algbind 1000 who-user'; finish who-user 30
	_user=$(pid_of who-user)
	start who-box /t/vmtool contained $box sh -c 'mount -t who-box none /tmp; true'; finish who-box 30
	_shell=$(cat "$out")
	start who-command mount -t who-command none /tmp; finish who-command 30
	start who-needs mount -t who-needs none /tmp; finish who-needs 30
	start who-hand /safe/modprobe algif_hash; finish who-hand 30
	udev who-udev
	watch_end
	run 60 /safe/safeload log --json /run/who
	want "log: ends with 0" [ "$rc" = 0 ]
	logged=/tmp/who.log
	cp "$out" $logged
	want "every line is as the schema says" /t/vmtool jsonl log $logged
	_up='"ancestors":\[{"pid":[0-9]*,"comm":"[a-z]*"}.*{"pid":1,"comm":"init"}\]}'
	_kernel='"who":{"uid":0,"ancestors":\[{"pid":2,"comm":"kthreadd"}\]}'
	# Half a second that its module takes is the least.
	_slow='"took_us":\([5-9][0-9]\{5\}\|[0-9]\{7,\}\)'

	want "a process: its request" entry request '"name":"fs-who-process"' "\"pid\":$_process,\"tid\":$_process,\"comm\":\"mount\",\"who\":{\"uid\":0," "$_up" \
		'"via":"none"' '"loads":\["slreq_w0"\]' "$_slow" '"ended":true'
	want "a process: what came" entry load '"module":"slreq_w0"' '"ret":0' "\"asked\":{\"name\":\"fs-who-process\",\"pid\":$_process," '"comm":"kworker/' "$_slow"

	want "a kernel thread: its request, and for whose load" entry request '"name":"who-thread"' '"comm":"slreq_w1"' "$_kernel" '"via":"kthread"' \
		"\"for_load_of\":\"slreq_w1\",\"for_load_by\":{\"pid\":$(pid_of who-thread),\"tid\":[0-9]*,\"comm\":\"modprobe\",\"who\":{\"uid\":0,$_up" '"loads":\["slreq_w2"\]'
	want "a kernel thread: what came" entry load '"module":"slreq_w2"' '"asked":{"name":"who-thread"' "\"for_load_by\":{\"pid\":$(pid_of who-thread),"
	want "a work item: its request, and for whose load" entry request '"name":"who-work"' '"comm":"kworker/' "$_kernel" '"via":"work"' \
		"\"for_load_of\":\"slreq_w3\",\"for_load_by\":{\"pid\":$(pid_of who-work)," '"loads":\["slreq_w4"\]'

	want "a user's socket: the name asked for, by whom" entry request '"name":"crypto-who-user"' "\"pid\":$_user," '"who":{"uid":1000,"login_uid":1234,' "$_up" '"loads":\["slreq_w5"\]'
	want "a user's socket: what came" entry load '"module":"slreq_w5"' '"ret":0' '"asked":{"name":"crypto-who-user".*"who":{"uid":1000,"login_uid":1234,'
	want "a container: its shell's number outside, its own inside, its cgroup" entry request '"name":"fs-who-box"' '"comm":"mount","who":{"uid":0,' \
		"\"unit\":\"$box\",\"container\":\"docker-0123456789ab\",\"cgroup\":\"/$box\",\"pids_inside\":\[2\],\"ancestors\":\[{\"pid\":$_shell,\"comm\":\"sh\"}.*\"comm\":\"init\"" \
		'"loads":\["slreq_w6"\]'

	want "udev: its worker loads, for no request" entry load '"module":"slreq_wa"' '"comm":"(udev-worker)","who":{"uid":0,' \
		"\"ancestors\":\[{\"pid\":$(pid_of who-udev),\"comm\":\"systemd-udevd\"}.*{\"pid\":1,\"comm\":\"init\"}\]" '"ret":0,"ended":true,"why":{"how":"process"'

	want "why: an alias" entry load '"module":"slreq_w2"' '"why":{"how":"alias","of":"who-thread","certainty":"likely"}'
	want "why: an install command" entry load '"module":"slreq_w7"' '"why":{"how":"command","of":"fs_who_command","certainty":"seen"}'
	want "why: an alias of two modules" entry load '"module":"sluse"' '"why":{"how":"alias","of":"fs-who-needs","certainty":"likely"}'
	want "why: a dependency" entry load '"module":"slprov"' '"why":{"how":"dependency","of":"sluse","certainty":"likely"}'
	want "why: a soft dependency" entry load '"module":"slreq_w9"' '"why":{"how":"softdep","of":"slreq_w8","certainty":"likely"}'
	want "why: what was loaded by hand" entry load '"module":"algif_hash"' '"why":{"how":"process","certainty":"seen"}'

	run 60 /safe/safeload log --uid 1000 /run/who
	want "for people: the user" has "$out" "request crypto-who-user: slreq_w5 live in .*, by vmtool\[[0-9]*\] (uid 1000, login 1234; sh\[.*init\[1\])"
	want "for people: nobody else with --uid" lacks "$out" "fs-who"
	run 60 /safe/safeload log --module slreq_w2 /run/who
	want "for people: the thread's load" has "$out" "slreq_w1\[[0-9]*\] (uid 0; kthreadd\[2\]) asked for who-thread for the load of slreq_w1 (kthread) by modprobe\[$(pid_of who-thread)\]"
	rm /run/who
	unload slreq_w0 slreq_w1 slreq_w2 slreq_w3 slreq_w4 slreq_w5 slreq_w6 slreq_w7 slreq_w8 slreq_w9 sluse slprov algif_hash slreq_wa sldev
}
