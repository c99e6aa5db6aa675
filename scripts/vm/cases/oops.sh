# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: an init that makes the kernel oops: its modprobe ends by SIGSEGV, as kmod's, who asked goes on, and later loads are told
# kernels: all
# matrix: arm-6.12 amd64-6.12
# off-target: it makes the kernel oops
# boot: oops
# limit: 150
# copies: o0 o1 o2 o3
setup() {
	conf oops <<-EOF
		alias fs-oops slreq_o0
		options slreq_o0 oops=1
		options slreq_o1 oops=1
		options slreq_o2 oops=1
		options slreq_o3 delay_ms=3000
	EOF
	apart
}

# apart: a load of another file that comes to the list of a dead one oopses or takes the processor for ever, with the kernel's lock
# on it (docs/refusals.md), and nobody can prevent that. Of two inodes in one slab of tmpfs's one pair in fifty comes to the
# same of the 256 lists: these four get inodes of their own, with a slab's worth of others in between.
apart() {
	# shellcheck disable=SC2044 # no blanks; a list that is whole before the first is copied
	for _file in $(find "/lib/modules/$kver" -name 'slreq_o[0-3].ko*'); do
		cp "$_file" "$_file.new" && mv "$_file.new" "$_file"
		_i=0
		while [ $_i -lt 48 ]; do : >"/tmp/apart-${_file##*/}-$_i"; _i=$((_i + 1)); done
	done
}

# oops MODPROBE COMMAND...: the command loads a file.
oops() {
	_modprobe=$1; shift
	start mount mount -t oops none /tmp
	finish mount 20
	note "who asked goes on" "$(ended mount && echo yes)"
	log "$case: mount ended with $rc after $(seconds "$took") s"
	wait_for 30 none_left
	note "the helper is gone" "$(none_left && echo yes)"
	start direct "$_modprobe" slreq_o1
	finish direct 20
	note "modprobe ends with" "$rc"
	start file "$@" "$(find "/lib/modules/$kver" -name 'slreq_o2.ko*' | head -n 1)" oops=1
	finish file 20
	note "who loads a file ends with" "$rc"
	note "the module stays" "$(state slreq_o0) $(state slreq_o1) $(state slreq_o2)"
}
none_left() { ! pidof modprobe safeload-modprobe >/dev/null; }

stock() {
	oops /stock/modprobe /stock/insmod
	want "an oops ends modprobe by SIGSEGV" [ "$rc" = 139 ]
	# The next load of it: 6.1 waits by name. Kernels that wait by file look at what the dead load has left on a stack
	# that is used again: they oops as well, or go round in it with the processor, and the guest stands still. Which of
	# these it is depends on what lies there, so it is not tried.
	case $kver in 6.1.*) ;; *) log "$case: kmod's next load is not tried: it can take the processor for ever"; return ;; esac
	start later /stock/modprobe slreq_o0
	finish later 10
	want "kmod hangs: $rc" [ "$rc" = hang ]
}

check() {
	# Where it happens all the same, the guest is not to go on so until its time is up: it ends, and is tried again.
	[ ! -e /proc/sys/kernel/softlockup_panic ] || echo 1 >/proc/sys/kernel/softlockup_panic
	kmsg_mark
	oops /safe/modprobe /safe/safeload insmod
	want "an oops ends insmod by SIGSEGV" [ "$rc" = 139 ]
	want "no core is left" lacks "$out" "core dumped"

	later
	run 20 /safe/safeload status
	want "status: exit 3" [ "$rc" = 3 ]
	want "status says that its init is dead" has "$out" "nobody runs the init of slreq_o0 any more"
	run 20 /safe/safeload diagnose --json
	want "diagnose: exit 3" [ "$rc" = 3 ]
	want "diagnose: as the schema says" /t/vmtool jsonl survey "$out"
	want "diagnose names all three" [ "$(grep -c '"type":"dead","module":"slreq_o[012]"' "$out")" = 3 ]
	run 40 /safe/safeload doctor
	want "doctor: exit 3" [ "$rc" = 3 ]
	want "doctor says it" has "$out" "slreq_o0 is coming, and nobody runs its init any more"

	# The kernel has oopsed, but this init runs.
	start first /safe/modprobe slreq_o3
	wait_for 30 is slreq_o3 coming
	start second /safe/modprobe slreq_o3
	finish second 20
	want "who waits for an init that runs is served" [ "$rc" = 0 ]
	finish first 20
	want "and so is the first" [ "$rc" = 0 ]
	unload slreq_o3
}

# busy: what all processors have done since boot, in hundredths of a second.
busy() { awk '/^cpu / {print $2 + $3 + $4 + $7 + $8}' /proc/stat; }

# later: a module whose init is dead is asked for again.
later() {
	kmsg_mark
	_i=0 _busy=$(busy)
	while [ $_i -lt 15 ]; do
		start "later$_i" /safe/modprobe slreq_o1
		start "again$_i" mount -t oops none /tmp
		_i=$((_i + 1))
	done
	_i=0 _told=0 _back=0
	while [ $_i -lt 15 ]; do
		finish "again$_i" 20
		[ "$rc" = hang ] || _back=$((_back + 1))
		finish "later$_i" 20
		[ "$rc" != 1 ] || _told=$((_told + 1))
		_i=$((_i + 1))
	done
	log "$case: 30 later loads took $(seconds $(($(busy) - _busy))) s of the processor"
	want "15 later loads at once fail: $_told" [ $_told = 15 ]
	want "and say why" has "$out" "refused slreq_o1 .*nobody runs its init any more.*reboot"
	want "15 later requests return: $_back" [ $_back = 15 ]
	want "and their helpers say why" has "$(kmsg)" "refused slreq_o0 (request fs-oops): nobody runs its init any more"
	wait_for 30 none_left
	want "no helper stays" none_left

	# Where not all can be seen nothing is certain: they wait, and do next to nothing.
	mount -o remount,hidepid=2 /proc
	_file=$(find "/lib/modules/$kver" -name 'slreq_o2.ko*' | head -n 1) _i=0
	while [ $_i -lt 10 ]; do start "blind$_i" /safe/safeload insmod "$_file"; _i=$((_i + 1)); done
	sleep 3
	_busy=$(busy)
	sleep 5
	_busy=$(($(busy) - _busy))
	exact && _most=100 || _most=250 # others' work moves the clock
	want "ten that wait take little of a processor: $(seconds $_busy) s of 5" [ "$_busy" -lt "$_most" ]
	_i=0 _told=0
	while [ $_i -lt 10 ]; do
		! ended "blind$_i" || _told=$((_told + 1))
		kill -TERM "$(pid_of "blind$_i")"
		finish "blind$_i" 10
		[ "$rc" != hang ] || _told=$((_told + 1))
		_i=$((_i + 1))
	done
	want "none is refused, and a signal ends them" [ $_told = 0 ]
	mount -o remount,hidepid=0 /proc
	start insmod /safe/safeload insmod "$_file"
	finish insmod 20
	want "a later load of the file fails" [ "$rc" = 1 ]
	want "no load has made the kernel oops again" lacks "$(kmsg)" "Internal error\|Oops\|BUG"
}
