# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a command's own kmod that waits for the load that waits for us is ended; each advice of diagnose and doctor, followed, helps
# kernels: all
# matrix: arm-6.12 amd64-6.12
# off-target: it installs safeload in the root
# boot: advice
# limit: 150
# copies: e0 e1 e2 e3 e4 e5
setup() {
	conf advice <<-CONF
		options slreq_e0 req=slreq_e0
		options slreq_e1 req=slreq_e1
		install slreq_e1 /stock/modprobe --ignore-install slreq_e1
		options slreq_e2 req=advice-e2
		install advice-e2 sh -c "true; trap '' TERM; /stock/modprobe -q slreq_e2; true"
		options slreq_e3 req=slreq_e3 via=kthread
		install slreq_e3 /stock/modprobe --ignore-install slreq_e3
		options slreq_e4 still_ms=12000
		alias fs-adviceslow advice_e5
		install advice_e5 /stock/modprobe slreq_e4
	CONF
	mkdir -p /etc/safeload.d
}

control() {
	for _m in e1 e2 e3; do
		start "advice-$_m" /stock/modprobe "slreq_$_m"
		must_hang "advice-$_m" "slreq_$_m"
	done
}

# cured MODULE SECONDS: its load goes well, and one line tells of the wait that was ended.
cured() {
	kmsg_mark
	start "advice-$1" /safe/modprobe "slreq_$1"
	finish "advice-$1" "$2"
	log "advice: $1: $(seconds "$took") s"
	want "$1: modprobe ends with 0, the module is live" [ "$rc $(state "slreq_$1")" = "0 live" ]
	want "$1: one line tells of it" count "$(kmsg)" "safeload: refused slreq_$1 .*, of a command that pid [0-9]* runs, is ended" 1
	unload "slreq_$1"
}

# look: until diagnose knows how to free it; a safeload that waits may first be about to decide.
look() {
	diagnose_until 40 frees
	sed "s/^/#L# advice: /" "$out"
}
frees() { has "$out" "^  to free it now: kill"; }
# advised: what diagnose says will keep it from coming again.
advised() { sed -n "s/^  for good: //p" "$out"; }
# kill_advised NAME MODULE: the line that frees it, as it stands there.
kill_advised() {
	_line=$(sed -n "s/^  to free it now: \(kill -TERM [0-9]*\).*/\1/p" "$out")
	want "$1: there is a line that frees it" [ -n "$_line" ]
	sh -c "$_line"
	finish "advice-$1" 30
	want "$1: what it says frees it" [ "$rc $(state "$2")" = "0 live" ]
	unload "$2"
}

check() {
	cured e1 20
	want "e1: proven" proven
	cured e2 20
	cured e3 40

	# One that only takes its time, and a command's kmod that waits for it.
	kmsg_mark
	start advice-slow /stock/modprobe slreq_e4
	wait_for 30 is slreq_e4 coming
	run 40 mount -t adviceslow none /tmp
	finish advice-slow 30
	want "a slow one: all end, and nothing is refused" [ "$rc $(state slreq_e4) $(grep -c 'safeload: refused' "$(kmsg)")" = "0 live 0" ]
	unload slreq_e4

	run 40 /safe/safeload doctor
	sed "s/^/#L# advice: /" "$out"
	want "doctor names the lines that call another modprobe" has "$out" "/stock/modprobe .*called by: .*slreq_e1"
	want "doctor says what to call in its place" has "$out" "/safe/modprobe in place of /stock/modprobe"

	# Not installed.
	helper /stock/modprobe
	start advice-e0 /stock/modprobe slreq_e0
	look
	want "kmod is asked: safeload install" [ "$(advised | cut -c1-16)" = "safeload install" ]
	kill_advised e0 slreq_e0
	cp /safe/modprobe /usr/bin/advice-modprobe
	run 60 /safe/safeload install --helper /usr/bin/advice-modprobe
	log "advice: install: $(tail -n 1 "$out")"
	want "it can be installed" [ "$rc" = 0 ]
	start advice-e0 /stock/modprobe slreq_e0
	finish advice-e0 20
	want "then the same load ends with 0" [ "$rc $(state slreq_e0)" = "0 live" ]
	unload slreq_e0
	run 60 /safe/safeload uninstall
	want "and it can be uninstalled" [ "$rc" = 0 ]
	rm /usr/bin/advice-modprobe

	# Installed, and told to let it wait.
	helper /safe/modprobe
	echo "policy observe" >/etc/safeload.d/advice.conf
	start advice-e0 /stock/modprobe slreq_e0
	look
	want "safeload is asked, and observes: not safeload install" [ "$(advised | cut -c1-32)" = "policy refuse in safeload.conf, " ]
	kill_advised e0 slreq_e0
	start advice-e1 /safe/modprobe slreq_e1
	echo "exempt slreq_e1" >/etc/safeload.d/advice.conf
	start advice-e0 /stock/modprobe slreq_e0
	finish advice-e0 20
	want "as it says: that load ends with 0" [ "$rc $(state slreq_e0)" = "0 live" ]
	unload slreq_e0
	look
	want "an exempt module: that is what to change" [ "$(advised | cut -c1-22)" = "take slreq_e1 out of t" ]
	kill_advised e1 slreq_e1
	rm -f /etc/safeload.d/advice.conf
}
