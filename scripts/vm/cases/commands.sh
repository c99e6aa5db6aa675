# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: install and remove commands that lead back to themselves, for ever with kmod; and those that only look so
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: main
# limit: 60
# copies: c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 s1 s2 s3 s4 s5 s6
setup() {
	m=$(cat /proc/sys/kernel/modprobe)
	conf commands <<-CONF
		install slreq_c0 $m slreq_c0
		install slreq_c1 $m slreq_c2
		install slreq_c2 exec $m slreq_c1
		alias fs-cmdloop slreq_c3
		install slreq_c3 $m fs-cmdloop
		softdep slreq_c4 pre: slreq_c5
		install slreq_c5 $m slreq_c4
		remove slreq_c6 $m -r slreq_c6
		install slreq_c7 for i in 1 2 3; do $m slreq_c7 && break; echo tried; done; false
		install slreq_c8 env -i $m slreq_c9
		install slreq_c9 sh -c '$m slreq_c8'
		install slreq_s1 sh -c "true; env A=b $m --ignore-install slreq_s1"
		install slreq_s2 $m --ignore-install slreq_s3 && $m -i slreq_s2
		softdep slreq_s3 pre: slreq_s2
		install slreq_s4 echo s4 >>/tmp/commands.s4; $m -i slreq_s3
		install slreq_s5 [ -e /tmp/commands.s5 ] && exec $m -i slreq_s5; touch /tmp/commands.s5; $m slreq_s5
		install slreq_s6 $m slreq_s3; $m -i slreq_s6
		remove slreq_s6 $m -r -i slreq_s6 && $m -r slreq_s3
	CONF
}

# deep NUMBER: so many processes run the command of a module. One that is in execve just then is not counted.
deep() { [ "$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -o "$2" | wc -l)" -ge "$1" ]; }
# ends_group JOB: a started command and all that it led to: its session is one process group.
ends_group() { kill -9 "-$(awk '{print $5}' "/proc/$(pid_of "$1")/stat")"; }

# innocent: what kmod does as well; the host compares.
innocent() {
	for _m in s1 s2 s5 s6; do
		run 30 "$m" "slreq_$_m"
		note "$_m" "ends with $rc, $(state "slreq_$_m")"
		want "$_m: loaded" [ "$rc $(state "slreq_$_m")" = "0 live" ]
	done
	run 30 "$m" -r slreq_s6
	note removed "ends with $rc, $(state slreq_s6) $(state slreq_s3)"
	unload slreq_s1 slreq_s2 slreq_s5 slreq_s3
	run 30 sh -c "$m slreq_s4; $m slreq_s4; $m -a slreq_s4 slreq_s4"
	want "s4: one command, four times in a row" [ "$rc $(grep -c s4 /tmp/commands.s4)" = "0 4" ]
	unload slreq_s3
}

stock() {
	m=/stock/modprobe
	start commands "$m" slreq_c0
	want "kmod: twenty processes run the command of one module, and no end" wait_for 25 deep 20 "modprobe slreq_c0"
	ends_group commands
	start commands "$m" slreq_c1
	want "kmod: two modules, each the other's command: no end either" wait_for 25 deep 20 "modprobe slreq_c2"
	ends_group commands
	innocent
}

# refused MODULE KIND: the last command, and who has no standard error, told once of it.
refused() {
	cat "$out" >>"$(kmsg)"
	want "$1: its $2 command is refused once" count "/tmp/kmsg.$$" "safeload: refused $1 .*its $2 command leads back to itself" 1
	kmsg_mark
}

check() {
	m=/safe/modprobe
	kmsg_mark
	run 20 "$m" slreq_c0
	want "itself: ends with 1, not loaded" [ "$rc $(state slreq_c0)" = "1 absent" ]
	refused slreq_c0 install
	run 20 "$m" slreq_c1
	want "two of them: ends with 1" [ "$rc" = 1 ]
	refused slreq_c1 install
	run 20 mount -t cmdloop none /tmp
	want "by an alias that the kernel asks for: mount fails" [ "$rc" != 0 ]
	refused slreq_c3 install
	run 20 "$m" slreq_c4
	want "as a soft dependency of what it loads: ends with 0, and that is loaded" [ "$rc $(state slreq_c4)" = "0 live" ]
	refused slreq_c5 install
	unload slreq_c4
	"$m" slreq_c6
	run 20 "$m" -r slreq_c6
	want "a remove command: ends with 1, still loaded" [ "$rc $(state slreq_c6)" = "1 live" ]
	refused slreq_c6 remove
	unload slreq_c6
	run 40 "$m" slreq_c7
	want "one that tries again: ends with 1, not loaded" [ "$rc $(state slreq_c7)" = "1 absent" ]
	want "one that tries again: it was let run some times, not each time at each depth" [ "$(grep -c tried "$out")" -le 40 ]
	log "commands: one that tries again: $(grep -c tried "$out") tries, $(seconds "$took") s"
	kmsg_mark
	run 20 "$m" slreq_c8
	want "through env -i and a shell: ends with 1" [ "$rc" = 1 ]
	refused slreq_c8 install
	run 20 /safe/safeload diagnose
	want "nothing is left" [ "$rc" = 0 ]
	innocent
	want "none of the innocent is refused" [ "$(grep -c slreq_d /run/safeload/refusals)" = 0 ]
	rm -f /tmp/commands.s4 /tmp/commands.s5
}
