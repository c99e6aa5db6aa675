# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a registry that is full, damaged, hostile or not there, forged tokens, a read-only root with no /run, no descriptors, little memory, clock jumps, another pid namespace
# kernels: all
# matrix: arm-6.12 amd64-6.12 *-own
# off-target: it starts a root made of the guest's directories
# boot: stress
# limit: 480
# copies: j0 j1 j2 j3
setup() {
	far 9
	{
		echo "options slreq_j0 hold_ms=2500"
		echo "options slreq_j1 req=slreq_j1"
		echo "options slreq_j2 req=slreq_j2"
		echo "options slreq_j3 hold_ms=$((far * 1000))"
		echo "install faults-file echo file \$(ulimit -f)"
		echo "install faults-limits echo addresses \$(ulimit -v) data \$(ulimit -d)"
	} | conf faults
}

# faulty TEXT PREPARATION [PREFIX]: the preparation is shell, run in a mount namespace of its own with an
# empty /run; the prefix is put before modprobe. An innocent second load must end well behind a slow one, and
# say in one line what the guard could not do: a pattern in $says; nothing at all if that is empty.
faulty() {
	start faults-slow /safe/modprobe slreq_j0
	wait_for 30 is slreq_j0 coming
	run 30 unshare -m sh -c "mount -t tmpfs -o mode=0755 none /run; $2
exec ${3:-} /safe/modprobe slreq_j0"
	want "$1: an innocent load ends with 0" [ "$rc" = 0 ]
	if [ -n "$says" ]; then want "$1: one line says so" one_line
	else want "$1: nothing is said" [ ! -s "$out" ]; fi
	[ ! -s "$out" ] || log "faults: $1: $(head -n 3 "$out")"
	want "$1: no panic" lacks "$out" "goroutine\|panic:"
	finish faults-slow 20
	want "$1: the slow load ends with 0" [ "$rc" = 0 ]
	unload slreq_j0
}

says=
one_line() { [ "$(wc -l <"$out")" = 1 ] && grep -q "$says" "$out"; }

# A root that nobody can write to, and in it no /run, with its own /proc and /sys.
rootless() {
	mkdir -p /tmp/ro
	mount -t tmpfs ro /tmp/ro
	for _d in lib usr etc safe bin; do mkdir "/tmp/ro/$_d"; mount --bind "/$_d" "/tmp/ro/$_d"; done
	mkdir /tmp/ro/proc /tmp/ro/sys
	mount -t proc proc /tmp/ro/proc
	mount -t sysfs sysfs /tmp/ro/sys
	mount -o remount,ro /tmp/ro
}

# little TEXT SHELL-COMMAND: how both load with what the command leaves of memory; sets kmod_rc and rc.
little() {
	run 30 sh -c "$2; exec /stock/modprobe slreq_j0"
	kmod_rc=$rc
	unload slreq_j0
	run 30 sh -c "$2; exec /safe/modprobe slreq_j0"
	log "faults: $1: kmod ends with $kmod_rc, safeload with $rc: $(head -n 2 "$out" | cut -c1-100)"
	want "$1: it ends" [ "$rc" != hang ]
	unload slreq_j0
}

# An entry as another invocation would have written it, for a process that is alive (init), forged.
forged='printf "state=load\nmodule=slreq_j0\npath=/x\ntoken=%032d\nparent=\n" 0'

check() {
	says="cannot write to /run/safeload"
	faulty "unwritable" "mount -o remount,ro /run"
	faulty "no space" "mount -t tmpfs -o size=4k,nr_inodes=2 none /run"
	says=
	faulty "full of entries" "mkdir -m 700 /run/safeload; i=0; while [ \$i -lt 5000 ]; do : >/run/safeload/\$i.\$i; i=\$((i + 1)); done"
	faulty "damaged entries" "mkdir -m 700 /run/safeload; for i in 1 2 3 4 5 6 7 8 9; do head -c 3000 /dev/urandom >/run/safeload/\$i.1; done"
	faulty "an entry of a reused pid" "mkdir -m 700 /run/safeload; $forged >/run/safeload/1.1"
	says="cannot write to /run/safeload"
	faulty "a symbolic link" "mkdir /tmp/elsewhere; ln -s /tmp/elsewhere /run/safeload"
	faulty "a file in its place" ": >/run/safeload"
	faulty "another user's directory" "mkdir -m 777 /run/safeload; $forged >/run/safeload/1.1; chown -R 1000 /run/safeload"
	says=
	faulty "another user's entries" "mkdir -m 700 /run/safeload; $forged >/run/safeload/1.1; chown 1000 /run/safeload/1.1"
	faulty "a directory among the entries" "mkdir -m 700 /run/safeload; mkdir /run/safeload/1.1"
	faulty "a fifo among the entries" "mkdir -m 700 /run/safeload; mkfifo /run/safeload/1.1"
	faulty "forged token" "export SAFELOAD_TOKEN=00000000000000000000000000000000.1"
	faulty "forged token with no depth" "export SAFELOAD_TOKEN=00000000000000000000000000000000"
	faulty "senseless token" "export SAFELOAD_TOKEN=\$(head -c 2000 /dev/zero | tr '\\\\0' A)"
	says="guard: cannot"
	faulty "four descriptors" "ulimit -n 4"
	faulty "five descriptors" "ulimit -n 5"
	says=
	faulty "sixteen descriptors" "ulimit -n 16"
	# A write past the limit would end the helper by SIGXFSZ; kmod writes nothing. Root may lift it; an install command has it.
	faulty "no file can be written" "ulimit -f 0"
	run 30 sh -c "ulimit -f 8; exec /safe/modprobe faults-file"
	want "no file above 4 KiB: an install command has the limit ($(cat "$out"))" [ "$rc $(cat "$out")" = "0 file 8" ]
	faulty "no descriptors at all" "exec <&- >&- 2>&-"
	faulty "version 1 cgroups only" "umount -l /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup; mkdir /sys/fs/cgroup/freezer; mount -t cgroup -o freezer none /sys/fs/cgroup/freezer"
	faulty "no cgroup" "umount -l /sys/fs/cgroup"
	# With no /run at all the guard lacks nothing: its entries are in memory, as before /init.
	rootless
	faulty "read-only root with no /run" : "chroot /tmp/ro"
	mount -o remount,rw /tmp/ro; mkdir /tmp/ro/run; mount -o remount,ro /tmp/ro
	says="cannot write to /run/safeload"
	faulty "read-only root with a /run" : "chroot /tmp/ro"
	says="/proc of this pid namespace cannot be read"
	faulty "the /proc of another pid namespace" : "unshare -p -f"
	says=
	faulty "a clock that jumps" "date -s @86400 >/dev/null; (sleep 1; date -s @1900000000 >/dev/null) &"
	# With the registry gone, a recursion is still seen in /proc.
	kmsg_mark
	start faults-self unshare -m sh -c "umount -l /sys/fs/cgroup; mount -t tmpfs -o ro none /run; exec /safe/modprobe slreq_j1"
	finish faults-self 40
	want "a recursion with no registry: ends with 0" [ "$rc" = 0 ]
	want "a recursion with no registry: one refusal" count "$(kmsg)" "safeload: refused" 1
	unload slreq_j1
	kmsg_mark
	start faults-rootless chroot /tmp/ro /safe/modprobe slreq_j2
	finish faults-rootless 40
	want "a recursion below a read-only root: ends with 0" [ "$rc" = 0 ]
	want "a recursion below a read-only root: one refusal" count "$(kmsg)" "safeload: refused" 1
	want "a recursion below a read-only root: proven" proven
	unload slreq_j2

	# Little memory: in a cgroup with a limit, and with a limit of address space.
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p /sys/fs/cgroup/little
	for _size in 8M 1M; do
		little "$_size in a cgroup" "echo $_size >/sys/fs/cgroup/little/memory.max; echo \$\$ >/sys/fs/cgroup/little/cgroup.procs"
		want "$_size in a cgroup: both load" [ "$kmod_rc$rc" = 00 ]
	done
	for _size in 2000000 1000000 500000 200000 100000 50000 20000; do
		little "$_size kB of addresses" "ulimit -v $_size"
		want "$_size kB of addresses: both load" [ "$kmod_rc$rc" = 00 ]
	done
	for _size in 100000 20000; do
		little "$_size kB of data" "ulimit -d $_size"
		want "$_size kB of data: both load" [ "$kmod_rc$rc" = 00 ]
	done
	# What a command starts is under the limits again.
	run 30 sh -c "ulimit -v 50000; ulimit -d 20000; exec /safe/modprobe faults-limits"
	want "a command has the limits that modprobe was given" has "$out" "^addresses 50000 data 20000$"

	# In a pid namespace of its own, with the machine's /run, everybody else seems to be dead.
	start faults-slow /safe/modprobe slreq_j3
	wait_for 30 is slreq_j3 coming
	start faults-waits /safe/modprobe slreq_j3
	wait_for 30 two
	_entries=$(entries)
	run 30 unshare -m -p -f sh -c "mount -t proc proc /proc; /safe/safeload status"
	_after=$(entries)
	want "from a pid namespace: the entries of the others stay" [ "$_entries" = "$_after" ]
	want "from a pid namespace: there were two" [ "$(echo "$_entries" | wc -l)" = 2 ]
	run 30 unshare -m -p -f sh -c "mount -t proc proc /proc; SAFELOAD_TOKEN=00000000000000000000000000000000.1 exec /safe/modprobe slreq_j3"
	want "in a pid namespace: an innocent load ends with 0" [ "$rc" = 0 ]
	want "in a pid namespace: nothing is said" [ ! -s "$out" ]
	finish faults-slow 30
	want "beside it: the slow load ends with 0" [ "$rc" = 0 ]
	finish faults-waits 30
	want "beside it: the load that waits ends with 0" [ "$rc" = 0 ]
	unload slreq_j3
}

two() { [ "$(entries | wc -l)" = 2 ]; }
entries() { find /run/safeload -name '[0-9]*.[0-9]*' | sort; }
