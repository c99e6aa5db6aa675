# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: hundreds of modules loaded and removed one after the other, by kmod in one boot and by safeload in the other
# kernels: arm-6.12 amd64-6.12
# matrix: none
# boot: dropin
# limit: 600
# extra: net
#
# After every ten the two boots must have as many modules of the same size; at the end the same lsmod, each by its own
# program, the same users and the same parameters; and the same again after removal.
setup() {
	sed -n 's|^kernel/\(net/.*filter\|net/sched\|fs/nls\)/\([^/]*\)\.ko:.*|\2|p' "/lib/modules/$kver/modules.dep" | sort | head -n 240 >/tmp/dropin.mods
	{
		echo "options nf_conntrack hashsize=4096"
		echo "softdep nls_utf8 pre: nls_cp850 post: nls_cp1251"
		echo "blacklist nls_cp1250"
		echo "install nls_koi8-u /bin/busybox true"
	} | conf dropin
}

# modules_now: how many modules and their size, in now_is. No process is made: that costs more than a load.
modules_now() {
	_n=0 _s=0
	while read -r _ size _; do _n=$((_n + 1)) _s=$((_s + size)); done </proc/modules
	now_is="$_n modules, $_s bytes"
}
parameters_now() {
	cut -d' ' -f1 /proc/modules | sort | while read -r m; do
		for f in "/sys/module/$m/parameters"/*; do [ -f "$f" ] && echo "$f $(cat "$f" 2>&1)"; done
	done
}

# all DIR: everything with the programs of one of the two.
all() {
	n=0 t0=$(now)
	while read -r m; do
		case $((n % 3)) in
		0) "$1/modprobe" "$m" >/dev/null 2>&1; rc=$? ;;
		1) "$1/modprobe" -q -- "$m" >/dev/null 2>&1; rc=$? ;;
		2) "$1/modprobe" -ab "$m" >/dev/null 2>&1; rc=$? ;;
		esac
		n=$((n + 1))
		note load "$m $rc"
		case $n in *0) modules_now; note load-state "$n: $now_is" ;; esac
	done </tmp/dropin.mods
	log "$n requests took $(seconds $(($(now) - t0))) s"
	sleep 1
	loaded=$(grep -c . /proc/modules)
	note loaded "$loaded"
	note lsmod "$("$1/lsmod" | sort | md5sum | cut -c1-12)"
	note users "$(cut -d' ' -f1-4 /proc/modules | sort | md5sum | cut -c1-12)"
	note parameters "$(parameters_now | grep -c .) $(parameters_now | md5sum | cut -c1-12)"
	n=0
	sort -r /tmp/dropin.mods >/tmp/dropin.rev
	while read -r m; do
		"$1/modprobe" -r "$m" >/dev/null 2>&1
		note remove "$m $?"
		n=$((n + 1))
		case $n in *0) modules_now; note remove-state "$n: $now_is" ;; esac
	done </tmp/dropin.rev
	note left "$(cut -d' ' -f1 /proc/modules | sort | tr '\n' ' ')"
}

programs() { # the applets of safeload by name, as an installation has them
	mkdir -p /tmp/dropin
	for p in modprobe lsmod; do ln -sf /safe/safeload "/tmp/dropin/$p"; done
	ln -sf /safe/modprobe /tmp/dropin/modprobe
}

stock() { all /stock; want "kmod loaded some hundred modules" [ "$loaded" -gt 150 ]; }
check() { programs; all /tmp/dropin; want "safeload loaded some hundred modules" [ "$loaded" -gt 150 ]; }
