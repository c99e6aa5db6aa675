# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# One guest: take a slot, boot it with a time limit, read what it says.

# slot_take: as many guests at once on this machine as it has cores, whoever starts them. Sets slot_fd,
# which the guest's life ends with.
slot_take() {
	local dir=${SAFELOAD_SLOTS:-/var/lock/safeload-vm} i n
	mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ] || { dir=$cache/locks; }
	n=$(nproc)
	while :; do
		for ((i = 0; i < n; i++)); do
			exec {slot_fd}>"$dir/slot$i"
			flock -n "$slot_fd" && return 0
			exec {slot_fd}>&-
		done
		sleep 1
	done
}

# qemu_run DIR LIMIT ARG...: boots DIR/initrd; the serial console goes to DIR/log. ARGs go to the guest's init.
qemu_run() {
	local dir=$1 limit=$2; shift 2
	"machine_$go_arch"
	# Time that counts instructions: 2^N ns each, and none while the guest is idle.
	[ -z "${icount:-}" ] || qemu+=(-icount "shift=$icount,sleep=off")
	local command=("${qemu[@]}" -m "${VM_MEMORY:-${memory:-768}}" -smp "${VM_CPUS:-1}" -no-reboot -nodefaults -display none
		-serial "${serial:-file:$dir/log}" -kernel "$kimage" -initrd "$dir/initrd"
		-append "console=$console quiet loglevel=3 panic=-1 ${append:-} -- $*")
	if [ "$1" = shell ]; then
		timeout --foreground "$limit" "${command[@]}"
		return
	fi
	timeout --kill-after=10 "$limit" "${command[@]}" &
	# Whoever ends this script ends the guest, too.
	trap 'kill "$guest" 2>/dev/null; exit 143' TERM
	guest=$!
	echo "$guest" >"$dir/pid"
	wait "$guest"
}

# boot GROUP MODE CASE-FILE...: one boot, in a directory of its own; its verdicts go to results.
# Everything that was expected and is not there when the guest has ended is a failure.
boot() {
	local group=$1 mode=$2 dir limit=90 c p t0 status=0 name; shift 2
	dir=$work/$key-$group-$mode
	mkdir -p "$dir"
	local expected=()
	for c; do
		name=$(basename "$c" .sh)
		for p in check control stock; do
			case $mode-$p in safe-check | stock-control | stock-stock) grep -q "^$p()" "$c" && expected+=("$name|$p") ;; esac
		done
		p=$(header limit "$c")
		[ -z "$full" ] || [ -z "$(header limit-full "$c")" ] || p=$(header limit-full "$c")
		limit=$((limit + ${p:-60}))
	done
	append=$(for c; do header append "$c"; done | sort -u | tr '\n' ' ')
	export append
	icount=${VM_ICOUNT-$(for c; do header icount "$c"; done | head -1)}
	memory=$(for c; do header memory "$c"; done | sort -n | tail -1)
	local still=no
	for c; do [ "$(header stands-still "$c")" != "$mode" ] || still=yes; done
	[ $still = no ] || limit=150
	image_make "$dir" "$@" || { boot_failed "$dir" "$mode" "no image could be made" "${expected[@]}"; return; }
	slot_take
	t0=$SECONDS
	[ $still = no ] || { stop_still "$dir" & }
	qemu_run "$dir" "$limit" "$mode" "${full:-ci}" >"$dir/qemu.log" 2>&1 || status=$?
	exec {slot_fd}>&-
	rm -f "$dir/initrd"
	say "$(printf '%-11s %-10s %-6s %3d s' "$key" "$group" "$mode" $((SECONDS - t0)))"
	tr -d '\r' <"$dir/log" >"$dir/log.txt"
	local end="the guest ended without a verdict"
	[ "$status" != 124 ] || end="the guest was stopped after $limit s"
	[ $still = no ] || { stood_still "$dir" "$status" "${expected[@]}"; return; }
	for c in "${expected[@]}"; do
		grep -aF "#R# $c|" "$dir/log.txt" | sed 's/.*#R# //' | awk -v key="$key" -v file="$dir/log.txt" -F'|' -v OFS='|' \
			'{print key, $1, $2, $3, $4, $5, file}' >"$dir/one"
		if [ -s "$dir/one" ]; then cat "$dir/one"; else echo "$key|$c|fail|$((SECONDS - t0))|$end|$dir/log.txt"; fi
	done >"$dir/results"
	rm -f "$dir/one"
	if ! grep -qa '^#END#' "$dir/log.txt"; then
		echo "$key|$group|boot-$mode|fail|$((SECONDS - t0))|$end (qemu: $status $(tail -1 "$dir/qemu.log"))|$dir/log.txt" >>"$dir/results"
	fi
}

boot_failed() {
	local dir=$1 mode=$2 why=$3 c; shift 3
	: >"$dir/log.txt"
	for c; do echo "$key|$c|fail|0|$why|$dir/log.txt"; done >"$dir/results"
}

# stop_still DIR: ends a guest some time after our module's init has begun: long enough to see it stand still for
# more than 30 s of its own time.
stop_still() {
	local began=0
	while sleep 1; do
		if [ -s "$1/pid" ] && ! kill -0 "$(cat "$1/pid")" 2>/dev/null; then return; fi
		grep -qa 'slreq_h0: init' "$1/log" 2>/dev/null || continue
		[ $((began += 1)) -le 45 ] || break
	done
	: >"$1/stopped"
	kill "$(cat "$1/pid")"
}

# stood_still: the guest was to be stopped before it came to /init, more than 30 s after our module's init began.
stood_still() {
	local dir=$1 status=$2 at v=fail text c; shift 2
	[ ! -e "$dir/stopped" ] || status=124
	at=$(grep -a 'slreq_h0: init' "$dir/log.txt" | sed -n '1s/.*\[ *\([0-9]*\)\..*/\1/p')
	if [ "$status" != 124 ] || grep -qa '^#E#' "$dir/log.txt"; then text="the guest was expected to stand still before /init, but went on"
	elif [ -z "$at" ]; then text="the module's init was not seen to begin"
	elif [ ! -e "$dir/stopped" ] && [ "$at" -gt 100 ]; then text="the module's init began so late ($at s) that 30 s were not seen"
	else v=pass text="kmod: the boot stood still from $at s on, for more than 30 s, and never came to /init"; fi
	for c; do echo "$key|$c|$v|$at|$text|$dir/log.txt"; done >"$dir/results"
}
