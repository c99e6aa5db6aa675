# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload modules-load beside a loop of kmod's modprobe and one modprobe -a, with modules of the kernel: times, no verdict on them
# kernels: all
# matrix: none
# boot: bootload-speed
# cpus: 2
# limit: 1200
# modules: btrfs xfs ext4 f2fs nfsd cifs ceph nf_tables nft_chain_nat ip6table_nat ebtables bridge 8021q bonding openvswitch vxlan wireguard tun dm-crypt dm-thin-pool dm-raid raid456 bcache mac80211 bluetooth bnep usb-storage uas usbhid usbserial ftdi_sio snd-usb-audio uvcvideo v4l2loopback dvb-core loop nbd fuse overlay squashfs udf isofs tipc sctp can can-raw i2c-dev spi-dev
#
# VM_CPUS says on how many CPUs. Its numbers are in docs/benchmarks.md.
rounds=$(by_scale 5 11)

# loadable: those of the list that this kernel has and that load here, in the list's order.
loadable() {
	sed -n 's/^# modules: *//p' "$cases/bootload-speed.sh" | tr ' ' '\n' | while read -r _m; do
		/stock/modprobe -q "$_m" 2>/dev/null && echo "$_m"
	done
}

# modules_now: the names of all modules that are there.
modules_now() { cut -d ' ' -f 1 /proc/modules; }

# unload_all: all modules that were not there before.
unload_all() {
	while :; do
		_left=$(lsmod | awk 'NR > 1 && $3 == 0 {print $1}' | grep -vxF -f /tmp/speed.before)
		[ -n "$_left" ] || break
		_n=$(wc -l </proc/modules)
		for _m in $_left; do rmmod "$_m" 2>/dev/null; done
		[ "$(wc -l </proc/modules)" -lt "$_n" ] || break
	done
}

now_cs() { read -r _up _ </proc/uptime; echo "${_up%.*}${_up#*.}"; }

way_loop() { while read -r _m; do /stock/modprobe "$_m"; done </tmp/speed.list; }
# shellcheck disable=SC2046 # names of modules
way_all() { /stock/modprobe -a $(cat /tmp/speed.list); }
way_load() { /safe/safeload modules-load --jobs "$(nproc)" /tmp/speed.list; }
way_one() { /safe/safeload modules-load --jobs 1 /tmp/speed.list; }

check() {
	modules_now >/tmp/speed.before
	loadable >/tmp/speed.list
	_names=$(wc -l </tmp/speed.list)
	unload_all
	# Some have no exit, or something of the kernel's holds them: they stay.
	modules_now >/tmp/speed.stay
	mv /tmp/speed.stay /tmp/speed.before
	way_all >/tmp/speed.out 2>&1
	_all=$(($(wc -l </proc/modules) - $(wc -l </tmp/speed.before)))
	echo "#L# speed: $_names names, $_all modules, $(nproc) CPUs"
	want "there are modules to load" [ "$_all" -ge 40 ]
	unload_all
	_round=0
	while [ "$_round" -lt "$rounds" ]; do
		_round=$((_round + 1))
		for _way in loop all load one; do
			_t0=$(now_cs)
			"way_$_way" >>/tmp/speed.out 2>&1 || echo "failed: $_way" >>/tmp/speed.failed
			_t1=$(now_cs)
			_n=$(($(wc -l </proc/modules) - $(wc -l </tmp/speed.before)))
			[ "$_n" = "$_all" ] || echo "$_way: $_n of $_all" >>/tmp/speed.failed
			echo "#L# speed: round $_round $_way $((_t1 - _t0)) cs"
			unload_all
		done
	done
	head -n 5 /tmp/speed.out | sed 's/^/#L# speed: /'
	want "each way loaded all of them, each time" [ ! -s /tmp/speed.failed ]
}
