# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What to run, and what came of it.

check_tools() {
	local missing=() t
	for t in qemu-system-arm:qemu-system-arm qemu-system-aarch64:qemu-system-arm qemu-system-x86_64:qemu-system-x86 \
		cpio:cpio depmod:kmod busybox:busybox-static make:make arm-linux-gnueabihf-gcc:gcc-arm-linux-gnueabihf \
		aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu x86_64-linux-gnu-gcc:gcc-x86-64-linux-gnu dpkg-deb:dpkg patch:patch flock:util-linux go:golang xz:xz-utils; do
		PATH=$PATH:/sbin:/usr/sbin command -v "${t%%:*}" >/dev/null || missing+=("${t##*:}")
	done
	[ ${#missing[@]} -eq 0 ] || die "these packages are needed: $(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')"
}

list_all() {
	local c m
	printf '%-18s %-10s %-28s %-14s %s\n' CASE BOOT KERNELS MATRIX WHAT
	for c in "$vm_dir"/cases/*.sh; do
		m=$(header matrix "$c")
		printf '%-18s %-10s %-28s %-14s %s\n' "$(basename "$c" .sh)" "$(group_of "$c")" "$(header kernels "$c")" "${m:-all of them}" "$(header what "$c")"
	done
	echo
	printf '%-18s %s\n' KERNEL 'NEWEST SEEN'
	while read -r c _; do printf '%-18s %s\n' "$c" "$(cat "$cache/kernels/$c.version" 2>/dev/null || echo 'not fetched yet')"; done < <(kernels_table)
}

# select_kernels: sets keys.
select_kernels() {
	keys=()
	local k g s
	if [ -n "$own_image" ]; then
		case $arch in arm | arm64 | amd64) ;; *) say "vm-test: --kernel-image needs --arch arm, arm64 or amd64"; return 1 ;; esac
		[ -n "$own_modules" ] || { say "vm-test: --kernel-image needs --modules"; return 1; }
		keys=("$arch-own")
		return
	fi
	[ -z "$demo" ] || { arch=${arch:-arm} want_series=${want_series:-6.12}; }
	while read -r k _ g s _; do
		if { [ -z "$arch" ] || [ "$arch" = "$g" ]; } && { [ -z "$want_series" ] || [ "$want_series" = "$s" ]; }; then keys+=("$k"); fi
	done < <(kernels_table)
	[ ${#keys[@]} -gt 0 ] || { say "vm-test: no kernel for --arch ${arch:-any} --kernel ${want_series:-any}; see --list"; return 1; }
}

select_cases() {
	local c
	selected=()
	if [ -n "$only" ]; then
		for c in ${only//,/ }; do
			[ -e "$vm_dir/cases/$c.sh" ] || { say "vm-test: no case $c; see --list"; return 1; }
			selected+=("$vm_dir/cases/$c.sh")
		done
	else
		for c in "$vm_dir"/cases/*.sh; do
			[ -z "$quick" ] || [ "$(header quick "$c")" = yes ] || continue
			if [ -n "$(header known-red "$c")" ]; then
				echo "*|$(basename "$c" .sh)|check|skip|0|known red: $(header known-red "$c")|" >"$work/skipped-$(basename "$c")"
				continue
			fi
			selected+=("$c")
		done
	fi
}

group_of() { local g; g=$(header boot "$1"); echo "${g:-main}"; }

# matches KEY PATTERNS
matches() {
	local pattern
	for pattern in $2; do
		# shellcheck disable=SC2053
		[ "$pattern" = all ] || [[ $1 == $pattern ]] && return 0
	done
	return 1
}

# applies KEY CASE-FILE: what a case can run on is in "kernels"; what of that every run of the whole matrix
# includes is in "matrix", if it is less.
applies() {
	local kernels matrix
	kernels=$(header kernels "$2") matrix=$(header matrix "$2")
	matches "$1" "${kernels:-all}" || return 1
	[ -n "$full$only" ] || matches "$1" "${matrix:-all}"
}

# left_out: the cases, and the kernels of others, that only --full or --case runs.
left_out() {
	local c m
	[ -z "$full$only" ] || return 0
	for c in "${selected[@]}"; do
		m=$(header matrix "$c")
		case $m in '') ;; none) say "left to --full: $(basename "$c" .sh)" ;; *) say "left to --full: $(basename "$c" .sh), but for $m" ;; esac
	done
}

# groups_of KEY, cases_of KEY GROUP MODE: of the selected cases.
groups_of() { local c; for c in "${selected[@]}"; do applies "$1" "$c" && group_of "$c"; done | sort -u; }
cases_of() {
	local c f
	case $3 in stock) f='control\|stock' ;; *) f=check ;; esac
	for c in "${selected[@]}"; do
		if applies "$1" "$c" && [ "$(group_of "$c")" = "$2" ] && grep -q "^\($f\)()" "$c"; then echo "$c"; fi
	done
}

# offered KEY: whether the kernel is there to be had. The machine's mirrors need not carry the suite of one that has a
# suite of its own: if it was not asked for, it is skipped, and counted as such.
offered() {
	kernel_fields "$1"
	[ -n "$suite" ] && [ "$want_series" != "$series" ] || return 0
	(kernel_get "$1") && return 0
	echo "$1|*|kernel|skip|0|the mirrors of this machine's apt sources do not give ${suite#@}'s kernel for $deb_arch|" >"$work/skipped-$1"
	return 1
}

# prepare KEY: everything that a boot of this kernel needs.
prepare() {
	key=$1
	if [ -n "$own_image" ]; then own_kernel || return 1; else kernel_get "$key" && testmods_get || return 1; fi
	"cross_$go_arch"
	plain_tree && userland_get && locked "bin-$$-$go_arch" binaries_get || return 1
	binaries_get
	[ -e "$work/said-$key" ] || { say "$key: kernel $kver"; : >"$work/said-$key"; }
}

# own_kernel: a kernel developer's image and modules in place of Debian's.
own_kernel() {
	local trees=("$own_modules"/lib/modules/*)
	[ -d "${trees[0]}" ] && [ ${#trees[@]} -eq 1 ] || die "--modules $own_modules: exactly one lib/modules/VERSION is expected in it (make modules_install INSTALL_MOD_PATH=...)"
	kernel_fields "$(kernels_table | awk -v a="$arch" '$3 == a {print $1; exit}')"
	key=$arch-own kver=$(basename "${trees[0]}") kimage=$own_image kdir=$work/own tdir=''
	# Once: boots that run beside each other read the copy.
	if [ ! -e "$kdir/lib/modules/$kver" ]; then
		mkdir -p "$kdir/lib/modules"
		cp -aL "${trees[0]}" "$kdir/lib/modules/$kver" 2>/dev/null
		kernel_uncompress "$kdir/lib/modules/$kver"
	fi
	[ -z "$own_headers" ] || testmods_own
}

prompt() {
	local dir=$work/shell
	mode=shell
	mkdir -p "$dir"
	# A serial port has no end of file, and drops what comes before somebody listens: the guest gets a file.
	[ -t 0 ] || cat >"$dir/input"
	image_make "$dir" "${selected[@]}" || exit 1
	slot_take
	serial=mon:stdio qemu_run "$dir" "${SHELL_LIMIT:-14400}" shell
}

json_escape() { sed 's/\\/\\\\/g; s/"/\\"/g; s/\t/ /g'; }

report() {
	local all=$work/results pass fail skip key case phase verdict seconds text log
	cat "$work"/*/results 2>/dev/null | sort >"$all"
	compare_notes >>"$all"
	cat "$work"/skipped-* >>"$all" 2>/dev/null
	[ -z "$json" ] || json_escape <"$all" | while IFS='|' read -r key case phase verdict seconds text log; do
		printf '{"schema":1,"kernel":"%s","version":"%s","case":"%s","phase":"%s","verdict":"%s","seconds":%s,"text":"%s"}\n' \
			"$key" "$(cat "$cache/kernels/$key.version" 2>/dev/null)" "$case" "$phase" "$verdict" "${seconds:-0}" "$text"
	done >"$json"
	while IFS='|' read -r key case phase verdict seconds text log; do
		printf '%-4s %-11s %-18s %-8s %7s s  %s\n' "$verdict" "$key" "$case" "$phase" "$seconds" "$text"
		if [ "$verdict" = fail ] && [ -s "$log" ]; then
			grep -a "#L# $case: " "$log" | grep -v '#L# [^ ]*: ok: ' | tail -n 25 | sed 's/.*#L# /       | /'
		fi
	done <"$all"
	left_out
	fail=$(awk -F'|' '$4 == "fail"' "$all" | wc -l); skip=$(awk -F'|' '$4 == "skip"' "$all" | wc -l)
	pass=$(awk -F'|' '$4 == "pass"' "$all" | wc -l)
	[ $((pass + fail + skip)) -gt 0 ] || { say "vm-test: nothing was run"; fail=1; }
	[ "$fail" = 0 ] || keep_failed
	if [ "$skip" -gt 0 ]; then echo "$pass passed, $fail failed, $skip skipped"; else echo "$pass passed, $fail failed"; fi
	[ "$fail" = 0 ]
}

# compare_notes: what cases noted under the same key in both boots must be equal.
compare_notes() {
	local d key group a b
	for d in "$work"/*-stock; do
		[ -s "$d/log.txt" ] && [ -s "${d%-stock}-safe/log.txt" ] || continue
		key=$(basename "${d%-stock}"); group=${key##*-}; key=${key%-*}
		notes "$d/log.txt" >"$work/notes.stock"; notes "${d%-stock}-safe/log.txt" >"$work/notes.safe"
		cut -d'|' -f1,2 "$work/notes.stock" | sort -u | while read -r k; do
			a=$(grep -F "$k|" "$work/notes.stock" | sort); b=$(grep -F "$k|" "$work/notes.safe" | sort)
			if [ "$a" = "$b" ]; then echo "$key|${k%%|*}|compare|pass|0|${k#*|}: as kmod: $(cut -d'|' -f3- <<<"$a" | head -1 | cut -c1-120 | tr '|' '/')|"
			else
				echo "$key|${k%%|*}|compare|fail|0|${k#*|}: kmod: $(cut -d'|' -f3- <<<"$a" | tr '\n|' ' /') safeload: $(cut -d'|' -f3- <<<"$b" | tr '\n|' ' /')|"
			fi
		done
	done
}
notes() {
	grep -a '^#N# ' "$1" | sed 's/^#N# //'
	! grep -qa '^#R# early|' "$1" || grep -a '^#E# ' "$1" | sed 's/^#E# /early|modules|/'
}

save_logs() {
	[ -n "$keep" ] || return 0
	mkdir -p "$keep"
	local d
	for d in "$work"/*/; do
		[ -s "$d/log.txt" ] && cp "$d/log.txt" "$keep/$(basename "$d").log"
	done
	[ ! -s "$work/results" ] || cp "$work/results" "$keep/results"
}

# keep_failed: the logs of a failed run are kept even when nobody asked.
keep_failed() {
	[ -n "$keep" ] || keep=$cache/log/failed
	say "guests' logs: $keep"
}
