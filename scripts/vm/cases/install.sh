# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: user-space hops: an install command with a shell and env -i, with setsid, with a daemon whose parent has gone
# kernels: all
# matrix: arm-6.12 amd64-6.12 *-own
# boot: main
# limit: 150
# copies: i0 i1 i2
#
# The init of slreq_iN asks for an alias whose install command comes back to slreq_iN.
# MODPROBE is the helper of the boot, by its full path.
setup() {
	m=$(cat /proc/sys/kernel/modprobe)
	{
		echo "options slreq_i0 req=install-i0"
		echo "install install-i0 /bin/sh -c 'env -i $m -q slreq_i0'"
		echo "options slreq_i1 req=install-i1"
		echo "install install-i1 /bin/sh -c 'setsid env -i $m -q slreq_i1 & wait'"
		echo "options slreq_i2 req=install-i2"
		echo "install install-i2 /bin/sh /tmp/daemonize $m"
	} | conf install
	# The middle process ends at once; the daemon is init's child when it comes to loading.
	cat >/tmp/daemonize <<-'DAEMON'
		rm -f /tmp/daemon-done
		(setsid sh -c "sleep 1; env -i $1 -q slreq_i2; echo done >/tmp/daemon-done" &) </dev/null >/dev/null 2>&1
		while [ ! -e /tmp/daemon-done ]; do sleep 0.1; done
	DAEMON
}

control() {
	for _m in i0 i1 i2; do
		start "install-$_m" /stock/modprobe "slreq_$_m"
		must_hang "install-$_m" "slreq_$_m"
	done
}

# shown: what safeload status says of the daemon's load, which no parent leads from any more.
shown() {
	wait_for 20 waiting
	run 20 /safe/safeload status --json
	_wait=$(grep '"role":"wait"' "$out")
	_command=$(grep '"role":"command"' "$out")
	_token=$(echo "$_command" | grep -o '"token":"[0-9a-f]*"' | cut -d'"' -f4)
	want "status: the command has a token" [ ${#_token} = 32 ]
	want "status: the daemon's load waits, one below that token" depth_one
	want "status: the load that waits for the command is one" [ "$(echo "$_command" | wc -l)" = 1 ]
	_shell=$(grep '"role":"shell"' "$out" | grep daemonize | head -n 1 | grep -o '"pid":[0-9]*' | cut -d: -f2)
	want "status: the shell of the command is named" [ -n "$_shell" ]
	want "status: the load waits for that shell" has "$out" "\"from\":$(echo "$_command" | grep -o '"pid":[0-9]*' | cut -d: -f2),\"to_any_of\":\[$_shell\].*waits for its command"
	want "status: how long is told" has "$out" '"role":"wait".*"since_s":[0-9]'
	want "status: who waits for whom is told" has "$out" '"type":"wait".*waits for the load of slreq_i2'
	run 20 /safe/safeload status
	sed 's/^/#L# /' "$out"
	want "status: the shell is in the tree" has "$out" "-> waits for its command (certain): pid $_shell /bin/sh /tmp/daemonize "
	want "status: the same as a tree" has "$out" "depth 1, from a command of $_token (pid [0-9]*)"
}
waiting() { grep -q '^state=wait' /run/safeload/[0-9]*; }
depth_one() { echo "$_wait" | grep "\"parent_token\":\"$_token\"" | grep -q '"depth":1'; }

check() {
	for _m in i0 i1 i2; do
		kmsg_mark
		start "install-$_m" /safe/modprobe "slreq_$_m"
		[ "$_m" != i2 ] || shown
		finish "install-$_m" 45
		want "$_m: modprobe ends with 0" [ "$rc" = 0 ]
		want "$_m: the module is live" is "slreq_$_m" live
		want "$_m: one refusal" count "$(kmsg)" "safeload: refused" 1
		# What a shell waits for in its wait builtin, or in a loop around sleep, nothing proves.
		[ "$_m" != i0 ] || want "$_m: proven, not suspected" proven
		unload "slreq_$_m"
	done
	# Each of the three was counted when it was refused; the last two on suspicion.
	run 20 /safe/safeload status --json
	want "statistics: the refusals of this boot are kept" has "$out" '"type":"verdicts".*"refused":[1-9].*"refused_on_suspicion":[1-9].*slreq_i2'
}
