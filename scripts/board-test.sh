#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# vm-test.sh --target, tried on a guest that plays the board: a 32-bit ARM machine that boots by itself, with Debian's kernel,
# busybox and dropbear, and is reached by ssh alone. board-test.sh ARGUMENT... gives the arguments to vm-test.sh. With --bundle as
# the first one, the cases (--case, or those below) go there as an archive and their verdicts come back as a terminal's log, as on a
# board without a network. Afterwards the board is asked whether it is as it was. The last line reads "board-test: N passed, N failed".
# shellcheck disable=SC1091,SC2154 source-path=SCRIPTDIR
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/vm/lib.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/safeload-board.XXXXXX") || exit 1
qemu='' how=target
[ "${1-}" != --bundle ] || { how=bundle; shift; }
# shellcheck disable=SC2317 # the trap's
over() {
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null
	if [ -n "${BOARD_KEEP:-}" ]; then say "kept: $work"; else rm -rf "$work"; fi
}
trap over EXIT
trap 'exit 130' INT TERM
passed=0 failed=0
check() {
	local what=$1; shift
	if "$@"; then passed=$((passed + 1)); echo "ok: $what"; else failed=$((failed + 1)); echo "NOT SO: $what"; fi
}

# with_deps NAME...: the files, relative to the tree, of modules and what they need.
with_deps() {
	local n
	for n; do
		modprobe -C /nonexistent -d "$plain" -S "$kver" --ignore-install --show-depends "$n" 2>/dev/null |
			sed -n "s|^insmod $plain/lib/modules/$kver/\([^ ]*\).*|\1|p"
	done
}

command -v ssh >/dev/null || die "ssh is missing: install openssh-client"
kernel_get arm-6.12 || exit 1
plain=$(rigkit plain arm-6.12) && libraries=$(rigkit libraries "$deb_arch" dropbear-bin) || exit 1
# shellcheck disable=SC2086 # names
rigkit unpack "$work/deb" "$deb_arch" busybox-static dropbear-bin $libraries || exit 1

# The board: a root of its own, with modules in its package's order, and a busybox modprobe as the kernel's helper.
root=$work/root tree=$work/root/lib/modules/$kver
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,etc/dropbear,etc/modprobe.d,root/.ssh,var/tmp,tmp,proc,sys,dev,run} "$tree"
cp -a "$work/deb"/lib/. "$root/lib/"
cp -aL "$work"/deb/usr/lib/*-linux-*/lib{tom,gmp,z,crypt}*.so.* "$root/lib/" 2>/dev/null
cp "$work/deb/bin/busybox" "$root/bin/busybox" 2>/dev/null || cp "$work/deb/usr/bin/busybox" "$root/bin/busybox" || exit 1
cp "$work/deb/usr/sbin/dropbear" "$root/usr/sbin/"
busybox --list | grep -vxE 'busybox|init|linuxrc|modprobe' | while read -r n; do ln -s busybox "$root/bin/$n"; done
ln -s ../bin/busybox "$root/sbin/modprobe"
(cd "$plain/lib/modules/$kver" && cp modules.{builtin,builtin.modinfo,order} "$tree/" && {
	find kernel/crypto kernel/arch/*/crypto kernel/lib -name '*.ko'
	with_deps virtio_mmio virtio_pci virtio_net tcrypt crypto_user af_alg algif_skcipher algif_hash dummy fuse
} | sort -u | cpio -pdmL "$tree" 2>/dev/null)
depmod -b "$root" "$kver" || exit 1
echo 'options dummy numdummies=0' >"$root/etc/modprobe.d/board.conf"
echo 'root::0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'passwd: files' >"$root/etc/nsswitch.conf"
ssh-keygen -q -t ed25519 -N '' -f "$work/key" && cp "$work/key.pub" "$root/root/.ssh/authorized_keys" || exit 1
chmod 700 "$root/root" "$root/root/.ssh"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=0755 run /run
exec </dev/console >/dev/console 2>&1
for m in virtio_pci virtio_mmio virtio_net; do modprobe $m; done
ip link set lo up
n=0
until ip link set eth0 up 2>/dev/null || [ $n = 100 ]; do n=$((n + 1)); usleep 100000; done
ip addr add 10.0.2.15/24 dev eth0
# What a login prints goes before everything that is asked for there.
echo "BOARD up, boot $(cat /proc/sys/kernel/random/boot_id)"
exec dropbear -R -F -E -s -p 22
INIT
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc -R 0:0 2>/dev/null) >"$work/initrd" || exit 1

go build -o "$work/rigkit" ./scripts/rigkit || exit 1
port=$((20000 + $$ % 20000))
SAFELOAD_CACHE=$cache "$work/rigkit" slot qemu-system-arm -M virt,highmem=off -cpu cortex-a7 -accel tcg,thread=multi -smp 2 -m 1024 -nodefaults -display none -serial "file:$work/console" \
	-netdev "user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=n \
	-kernel "$kimage" -initrd "$work/initrd" -append "console=ttyAMA0 quiet loglevel=3" </dev/null &
qemu=$!

# A user's configuration, as --target is to honour it: the name, the key and the known hosts are in it.
cat >"$work/config" <<CONFIG
Host board
	HostName 127.0.0.1
	Port $port
	User root
	IdentityFile $work/key
	IdentitiesOnly yes
	StrictHostKeyChecking accept-new
	UserKnownHostsFile $work/known
	LogLevel ERROR
CONFIG
mkdir "$work/bin"
# The host's key is a new one after each boot.
printf '#!/bin/sh\nrm -f %q\nexec %q -F %q "$@"\n' "$work/known" "$(command -v ssh)" "$work/config" >"$work/bin/ssh"
chmod 755 "$work/bin/ssh"
PATH=$work/bin:$PATH
n=0
until ssh -o ConnectTimeout=5 board true 2>/dev/null; do
	n=$((n + 1))
	if [ $n -ge 100 ] || ! kill -0 "$qemu"; then
		tail -n 20 "$work/console"
		die "the board does not answer"
	fi
	sleep 2
done

# What a visit must leave as it was.
cat >"$work/picture.sh" <<'PICTURE'
cut -d' ' -f1 /proc/modules | sort
cut -d' ' -f1-3 /proc/mounts
cat /proc/sys/kernel/modprobe
find / -xdev ! -path '/proc/*' ! -path '/run/*' | sort
cat /etc/modprobe.d/*
md5sum /lib/modules/*/modules.dep
ps | grep -E 'slreq|modprobe|vmtool|run.sh|/t/' | grep -v grep
PICTURE
picture() { ssh board sh <"$work/picture.sh" >"$1" 2>&1; }
picture "$work/before"
# by_bundle ARGUMENT...: what docs/boards.md says for a board without a network. A terminal's log has more in it, and its line ends.
by_bundle() {
	scripts/vm-test.sh --bundle "$work/board.tar" --arch arm --release "$kver" "$@" || return 1
	{
		echo "~ # sh safeload-board/run.sh safe"
		ssh board 'cd /var/tmp && tar xf - && sh safeload-board/run.sh safe' <"$work/board.tar"
		echo "[   99.000000] random: a line of the kernel's"
		ssh board 'sh /var/tmp/safeload-board/run.sh clean' || echo "not removed"
	} | sed 's/$/\r/' >"$work/board.log"
	! grep -q '^not removed' "$work/board.log" && scripts/vm-test.sh --read "$work/board.log" "$@"
}
[ $# -gt 0 ] || set -- --case self,tcrypt,outer,innocent,busybox
case $how in
bundle) check "the cases pass on it" by_bundle "$@" ;;
*) check "the cases pass on it" scripts/vm-test.sh --target ssh://board "$@" ;;
esac
picture "$work/after"
diff "$work/before" "$work/after" >"$work/diff" || sed -n 1,40p "$work/diff"
check "the board is as it was" [ ! -s "$work/diff" ]
echo "board-test: $passed passed, $failed failed"
[ "$failed" = 0 ]
