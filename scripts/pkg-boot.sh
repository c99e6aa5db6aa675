# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# The part of pkg-test.sh that boots: the system's own kernel with an initramfs
# that its own initramfs-tools made, once with kmod in it and once with
# safeload. A script in it starts the recursion of tcrypt: see kernel and
# outcome in the lines "PKGTEST ..." of the console.

. scripts/pkg-guest.sh

cat >"$R/etc/initramfs-tools/hooks/zz-pkg-test" <<'HOOK'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules tcrypt dummy
HOOK
cat >"$R/etc/initramfs-tools/scripts/init-premount/zz-pkg-test" <<'GUEST'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
say() { echo "PKGTEST $*" >/dev/console; }
say "version $(/sbin/modprobe -V 2>&1 | tr '\n' ' ')"
say "helper $(cat /proc/sys/kernel/modprobe)"
say "modules $(wc -l </proc/modules)"
/sbin/modprobe dummy && say "plain load ok"
mkdir -p /etc/modprobe.d
echo 'alias crypto-recurse tcrypt' >/etc/modprobe.d/zz-pkg-test.conf
/sbin/modprobe tcrypt alg=recurse </dev/null >/dev/null 2>&1 &
# kmod hangs for good; what is to end may take its time on a slow machine.
case $(/sbin/modprobe -V 2>&1) in *safeload*) most=200 ;; *) most=30 ;; esac
n=0
while kill -0 $! 2>/dev/null && [ $n -lt $most ]; do sleep 1; n=$((n + 1)); done
if kill -0 $! 2>/dev/null; then say "recursion hangs after $n s"; else say "recursion returned"; fi
say "$(dmesg | grep 'safeload: refused' | head -n 1)"
say end
sync
echo o >/proc/sysrq-trigger
sleep 20
GUEST
chmod +x "$R/etc/initramfs-tools/hooks/zz-pkg-test" "$R/etc/initramfs-tools/scripts/init-premount/zz-pkg-test"

# boot_with NAME: makes the initramfs anew and boots it.
boot_with() {
	in_root update-initramfs -u >"$work/$1.mk" 2>&1 || { cat "$work/$1.mk"; return 1; }
	guest "$1" 900 root=/dev/none
}

t "boot a Debian initramfs with kmod" boot_with kmod
t "  modprobe there is kmod's" sh -c "grep -aq 'PKGTEST version kmod' $work/kmod.log && ! grep -aq 'version.*safeload' $work/kmod.log"
t "  the recursion hangs it" said kmod 'PKGTEST recursion hangs'

in_root dpkg -i /run/safeload.deb >/dev/null 2>&1 && in_root safeload install >/dev/null
t "boot a Debian initramfs with safeload" boot_with safeload
t "  modprobe there is safeload" said safeload 'PKGTEST version .*safeload'
t "  it loads modules" said safeload 'PKGTEST plain load ok'
same_modules() {
	[ "$(grep -ao 'PKGTEST modules [0-9]*' "$work/kmod.log")" = "$(grep -ao 'PKGTEST modules [0-9]*' "$work/safeload.log")" ] ||
		{ grep -a 'PKGTEST modules' "$work"/*.log; return 1; }
}
t "  as many of them were loaded by then as with kmod" same_modules
t "  the recursion returns" said safeload 'PKGTEST recursion returned'
t "  refused, in the kernel's log" said safeload 'PKGTEST.*safeload: refused tcrypt \(request crypto-recurse\)'

# The whole system, from a disk, with systemd: the setting of sysctl.d, the watcher's unit, and an installation
# changed while it runs.
rm "$R/etc/initramfs-tools/hooks/zz-pkg-test" "$R/etc/initramfs-tools/scripts/init-premount/zz-pkg-test"
on_disk <<'GUEST'
knob() { cat /proc/sys/kernel/modprobe; }
# recursion NAME [HALF-SECONDS]: loads tcrypt by kmod itself; says whether that ended, and what was refused. Where it is to
# end, it may take its time on a slow machine.
recursion() {
	local since; since=$(dmesg | wc -l)
	(exec -a modprobe /usr/bin/kmod tcrypt alg=recurse) </dev/null >/dev/null 2>&1 &
	for ((n = 0; n < ${2:-400}; n++)); do kill -0 $! 2>/dev/null || break; sleep 0.5; done
	if kill -0 $! 2>/dev/null; then say "$1: recursion hangs"; else say "$1: recursion returned"; fi
	dmesg | tail -n +$((since + 1)) | grep 'safeload' | head -n 3 | while read -r line; do say "$1: $line"; done
}
picture() { (cd / && find etc usr/sbin var/lib/safeload -xdev \( -type f -exec sha256sum {} + -o -type l -printf '%p -> %l\n' \) 2>/dev/null | sort; cat /var/lib/dpkg/diversions; knob); }
mkdir -p /run/modprobe.d && echo 'alias crypto-recurse tcrypt' >/run/modprobe.d/pkg-test.conf
say "systemd $(systemctl is-system-running) helper $(knob)"
say "probe $(systemctl is-active safeload-probe.service) $(safeload probe status --json)"
# since_ms is an age. Uptime is read after it, so that the probe is taken for younger than it is, never for older.
age=$(safeload probe status --json | sed -n 's/.*"since_ms":\([0-9]*\).*/\1/p')
read -r up _ </proc/uptime; up=$((10#${up/./} * 10))
began=$(systemctl show -p UserspaceTimestampMonotonic --value)
say "probe since ${age:+$((up - age))} systemd since $((began / 1000))"
recursion sysctl
systemctl start safeload-watch.service
say "watch $(systemctl is-active safeload-watch.service)"
for ((n = 0; n < 400; n++)); do safeload probe status --json | grep -q '"watched":true' && break; sleep 1; done
say "watched $(safeload probe status --json) pins $(ls /sys/fs/bpf/safeload | tr '\n' ' ')"
# Who asked is in the journal: here a shell of the unit that runs this.
# A mount or a modprobe may be gone before it is asked who it was: then its entry has its result alone.
for ((n = 0; n < 30; n++)); do
	modprobe -q -r squashfs; mount -t squashfs none /mnt 2>/dev/null; sleep 1
	journalctl -q SAFELOAD_MODULE=squashfs SAFELOAD_ASKED_UNIT=pkg-test.service | grep -q squashfs && break
done
for ((n = 0; n < 30; n++)); do
	modprobe -q -r dummy; modprobe dummy; sleep 1
	journalctl -q SAFELOAD_MODULE=dummy SAFELOAD_UNIT=pkg-test.service | grep -q dummy && break
done
field() { journalctl -q -o cat --output-fields="$2" "SAFELOAD_MODULE=$1" SAFELOAD_TYPE=load "${@:3}" | tail -n 1; }
say "journal has dummy: $(field dummy SAFELOAD_RESULT) by uid $(field dummy SAFELOAD_UID SAFELOAD_UNIT=pkg-test.service) $(field dummy SAFELOAD_COMM) of $(field dummy SAFELOAD_UNIT SAFELOAD_UNIT=pkg-test.service)"
say "journal has squashfs: $(field squashfs SAFELOAD_RESULT) for $(field squashfs SAFELOAD_REQUEST SAFELOAD_ASKED_UNIT=pkg-test.service) by $(field squashfs SAFELOAD_ASKED_COMM SAFELOAD_ASKED_UNIT=pkg-test.service) of $(field squashfs SAFELOAD_ASKED_UNIT SAFELOAD_ASKED_UNIT=pkg-test.service)"
safeload doctor >/run/doctor; say "doctor exit $?"
grep -E '^  [a-z]+ +(installed|in force|kernel.modprobe|at boot|tried) ' /run/doctor | tr -s ' ' | while read -r line; do say "doctor: $line"; done
say "unit $(systemd-analyze security --no-pager safeload-watch.service | tail -n 1)"
recursion watched
say "watch still $(systemctl is-active safeload-watch.service)"
unit=/sys/fs/cgroup/system.slice/safeload-watch.service
say "watch memory peak $(cat $unit/memory.peak) oom $(sed -n 's/^oom_kill //p' $unit/memory.events) tasks $(cat $unit/pids.current) of $(cat $unit/pids.max)"
say "watch limits $(systemctl show -p DevicePolicy -p DeviceAllow -p MemoryMax safeload-watch.service | tr '\n' ' ')"
safeload uninstall >/run/out 2>&1; say "uninstall exit $? helper $(knob)"
say "unloaded $(safeload probe status)"
# The watch read from it; systemd starts it anew, and it attaches its own.
for ((n = 0; n < 400; n++)); do [ -n "$(ls /sys/fs/bpf/safeload 2>/dev/null)" ] && break; sleep 1; done
recursion kmod 40
for ((n = 0; n < 120; n++)); do journalctl -o cat -u safeload-watch.service | grep -q tcrypt && break; sleep 1; done
journalctl -o cat -u safeload-watch.service | grep tcrypt | head -n 4 | while read -r line; do say "journal: $line"; done
safeload diagnose --free | grep -E '^(FOUND|free)' | while read -r line; do say "diagnose: $line"; done
systemctl stop safeload-watch.service
say "watch stopped, pins left: $(ls /sys/fs/bpf/safeload 2>/dev/null | wc -l)"
picture >/run/before
safeload install --via divert >/run/out 2>&1; say "divert exit $? modprobe $(/sbin/modprobe -V | tr '\n' ' ')"
recursion divert
safeload uninstall >/run/out 2>&1; say "undivert exit $? modprobe $(/sbin/modprobe -V | tr '\n' ' ')"
picture >/run/after; cmp -s /run/before /run/after && say "undivert exactly" || diff /run/before /run/after | head -n 5 | while read -r line; do say "differs: $line"; done
GUEST
t "boot the whole system" boot_disk system 1800 "After=multi-user.target" "Type=oneshot"
t "  kernel.modprobe is safeload's from boot on" said system 'PKGTEST systemd [a-z]+ helper /usr/sbin/safeload-modprobe'
t "  the probe is in the kernel, by systemd's unit" said system 'PKGTEST probe active .*"ready":true.*"whole":true'
probe_before_systemd() {
	local probe systemd
	read -r probe systemd < <(sed -nE 's/.*PKGTEST probe since ([0-9]+) systemd since ([0-9]+)$/\1 \2/p' "$work/system.log")
	if [ "${systemd:-0}" = 0 ] || [ "$probe" -ge "$systemd" ]; then
		grep -a 'PKGTEST probe' "$work/system.log"
		return 1
	fi
}
t "  since before the system: the initramfs has it" probe_before_systemd
t "  a recursion of kmod's modprobe returns, refused" said system 'PKGTEST sysctl: .*safeload: refused tcrypt'
t "  the watcher runs as systemd's unit" said system 'PKGTEST watch active'
t "  which reads from the probe that is there" said system 'PKGTEST watched .*"watched":true.* pins probe $'
t "  which tells the journal of loads, with who asked" said system 'PKGTEST journal has dummy: live by uid 0 modprobe of pkg-test.service'
t "  for the kernel's requests, too" said system 'PKGTEST journal has squashfs: live for fs-squashfs by mount of pkg-test.service'
t "  the guard's tier is the probe" said system 'PKGTEST doctor: ok in force tier probe'
t "  doctor exits with 0" said system 'PKGTEST doctor exit 0'
t "  a recursion is refused" said system 'PKGTEST watched: .*safeload: refused tcrypt'
t "  the watcher is not hurt" said system 'PKGTEST watch still active'
t "  nor by its limits" said system 'PKGTEST watch memory peak [0-9]+ oom 0 tasks [0-9]+ of 64'
t "  which are in force" said system 'PKGTEST watch limits .*MemoryMax=268435456'
t "uninstall in the running system" said system 'PKGTEST uninstall exit 0 helper /sbin/modprobe'
t "  the probe has gone" said system 'PKGTEST unloaded no probe is in the kernel'
t "  kmod then hangs as before" said system 'PKGTEST kmod: recursion hangs'
t "  which the watcher sees" said system 'PKGTEST journal: .*tcrypt'
t "  safeload diagnose finds it" said system 'PKGTEST diagnose: FOUND .certain.: the load of tcrypt'
t "  and --free ends it" said system 'PKGTEST diagnose: free: ended'
t "the watcher leaves no pins when it is stopped" said system 'PKGTEST watch stopped, pins left: 0'
t "install --via divert in the running system" said system 'PKGTEST divert exit 0 modprobe .*safeload'
t "  the kernel's request is refused" said system 'PKGTEST divert: .*safeload: refused tcrypt'
t "uninstall" said system 'PKGTEST undivert exit 0 modprobe kmod'
t "  leaves all as it was" said system 'PKGTEST undivert exactly'
[ -z "${PKG_TEST_KEEP-}" ] || cp "$work"/*.log "$PKG_TEST_KEEP/"
