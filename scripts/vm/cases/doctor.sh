# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload doctor: what the kernel does, who is asked, indexes missing, damaged, stale; each hook; the tier; table and JSON
# kernels: all
# matrix: arm-6.12 arm-6.1 amd64-6.12 *-own
# boot: settings
# limit: 240
# extra: config
# copies: h0
doctor() {
	run 60 /safe/safeload doctor "$@"
	sed 's/^/#L# doctor: /' "$out"
}
# row LEVEL NAME TEXT: the table has this line.
row() { has "$out" "^  $1  *$2  *$3"; }
# below TEXT: some line of the table explains with this.
below() { has "$out" "^           *$1"; }

check() {
	_tree=/lib/modules/$kver
	helper /safe/modprobe
	doctor -v
	want "all is well: exit 0" [ "$rc" = 0 ]
	want "the kernel's release" row ok release "$kver on "
	case $kver in
	6.1.*) want "it waits by name" row ok "module waits" "by name" ;;
	*)
		want "it waits by file, then by name" row ok "module waits" "by file, then by name"
		# 32-bit ARM has no /proc/kcore that holds the kernel's code.
		case $(uname -m) in arm*) _by="by version, 6.11 or later" ;; *) _by="seen in the kernel's code" ;; esac
		want "whether a signal ends that: $_by" below "seen in /proc/kallsyms; a signal ends the wait ($_by)"
		;;
	esac
	want "safeload is asked" row ok kernel.modprobe "/safe/modprobe (safeload)"
	want "no static helper, by the kernel's configuration" row ok "static helper" no
	want "/sbin/modprobe" row ok /sbin/modprobe safeload
	want "the tree" row ok tree "$_tree, [0-9]* modules"
	for _i in dep alias symbols builtin; do want "modules.$_i.bin" row ok "modules.$_i.bin" "[1-9][0-9]* entries"; done
	want "the index agrees with the disk" row ok modules.dep "agrees with the disk"
	want "signatures" row ok signatures "checked, not required"
	want "cgroup" row ok cgroup v2
	want "bpffs that every user can write to" row note bpffs /sys/fs/bpf
	want "tracefs" row ok tracefs /sys/kernel/tracing
	want "kprobes" row ok kprobes yes
	case $(uname -m) in
	arm*) want "no BTF" row note BTF none; want "no stacks" row note "stacks of tasks" empty ;;
	*) want "BTF" row ok BTF /sys/kernel/btf/vmlinux; want "stacks" row ok "stacks of tasks" /proc/PID/stack ;;
	esac
	want "a hook by tracepoint" row ok "enter_finit, tracepoint" syscalls/sys_enter_finit_module
	want "a hook by kprobe" row ok "wait_name, kprobe" finished_loading
	case $kver in
	6.1.*)
		want "a hook that is not there" row note "own_file, kprobe" "init_module_from_file is missing"
		want "and what is not seen without it" below "no such function.*not seen: waits for the same file"
		;;
	*) want "the hook of the wait by file" row ok "own_file, kprobe" init_module_from_file ;;
	esac
	want "the registry" row ok registry /run/safeload
	want "the tier in force" row ok "in force" "tier proc"
	want "the tier that is possible" row note possible "tier probe"

	doctor --json --probe
	want "JSON: exit 0" [ "$rc" = 0 ]
	want "JSON: as the schema says" /t/vmtool jsonl doctor "$out"
	want "JSON: the tier" has "$out" '"tier":"proc","possible":"probe"'
	want "it was tried whether locks can be read" has "$out" '"name":"holders of locks","level":"ok"'
	want "no load hangs" has "$out" '"name":"loads now","level":"ok"'
	want "the probe was tried, and attaches" has "$out" '"name":"tried","level":"\(ok\|note\)","value":"it attaches'

	# What is wrong is bad, and says what to change.
	wrong() { # WHAT LEVEL NAME TEXT
		doctor
		if [ "$2" = bad ]; then want "$1: exit 1" [ "$rc" = 1 ]; else want "$1: exit 0" [ "$rc" = 0 ]; fi
		want "$1: said" row "$2" "$3" "$4"
	}
	helper /stock/modprobe
	wrong "kmod is asked" warn kernel.modprobe "/stock/modprobe (kmod)"
	want "kmod is asked: safeload install" has "$out" "^  safeload install  (kernel.modprobe"
	helper /no/where
	wrong "nobody is asked" bad kernel.modprobe /no/where
	echo >/proc/sys/kernel/modprobe
	wrong "requests are off" bad kernel.modprobe empty
	helper /safe/modprobe
	mv /sbin/modprobe /sbin/modprobe.away
	ln -s /usr/bin/kmod /sbin/modprobe
	wrong "safeload is not asked after a boot" warn "at boot" "not set"
	want "/sbin/modprobe is kmod" row ok /sbin/modprobe kmod
	rm /sbin/modprobe
	wrong "no /sbin/modprobe" bad /sbin/modprobe "none that works"
	mv /sbin/modprobe.away /sbin/modprobe

	cp "$_tree/modules.dep.bin" "$_tree/modules.alias.bin" "$_tree/modules.symbols.bin" /tmp/
	rm "$_tree/modules.dep.bin"
	wrong "an index is missing" bad modules.dep.bin missing
	want "an index is missing: depmod" has "$out" "^  depmod $kver  (modules.dep.bin"
	want "an index is missing: kmod cannot load either" not /stock/modprobe slreq_h0
	cp /tmp/modules.dep.bin "$_tree/"
	head -c $(($(wc -c </tmp/modules.alias.bin) / 2)) /tmp/modules.alias.bin >"$_tree/modules.alias.bin"
	wrong "an index is cut short" bad modules.alias.bin "\(damaged\|holds nothing\)"
	cp /tmp/modules.alias.bin "$_tree/"
	echo "no index at all, but some text" >"$_tree/modules.symbols.bin"
	wrong "a lesser index is damaged" warn modules.symbols.bin damaged
	cp /tmp/modules.symbols.bin "$_tree/"
	cp "$_tree/updates/slreq_h0.ko" "$_tree/updates/slreq_h9.ko"
	wrong "a module that no index knows" bad "not indexed" updates/slreq_h9.ko
	rm "$_tree/updates/slreq_h9.ko"
	mv "$_tree/updates/slreq_h0.ko" /tmp/
	wrong "a module that is gone" bad "indexed, gone" updates/slreq_h0.ko
	mv /tmp/slreq_h0.ko "$_tree/updates/"
	touch "$_tree/updates/slreq_h0.ko"
	wrong "a module that is newer than its index" warn "index age" "a module is newer"
	umount /sys/fs/bpf
	wrong "no bpffs" warn bpffs "not mounted"
	mount -t bpf -o mode=0700 bpf /sys/fs/bpf
	doctor
	want "bpffs" row ok bpffs /sys/fs/bpf
	echo "policy off" >/tmp/off.conf; mkdir -p /etc/safeload.d; cp /tmp/off.conf /etc/safeload.d/off.conf
	wrong "the guard is turned off" warn "in force" "tier none"
	rm /etc/safeload.d/off.conf

	want "the watch starts" watch_begin
	doctor
	want "with the watch: exit 0" [ "$rc" = 0 ]
	want "with the watch: the tier" row ok "in force" "tier probe"
	watch_end
}
