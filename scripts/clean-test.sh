#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows that the README's two commands are all that a fresh machine needs: runs them in Debian roots that have nothing
# but git. Not part of test.sh: it installs all packages and fetches all kernels again, for each suite.
set -u

usage() {
	cat <<-'USAGE'
		usage: clean-test.sh [OPTION...] [COMMAND...]
		  --suite NAME   a Debian release; may be repeated; default: bookworm and trixie
		  --dir DIR      make the roots there, and leave them; default: a directory that is removed at the end
		  COMMAND        run this there, by bash, instead of "scripts/vm-test.sh demo" and "scripts/test.sh --quick"
		Needs root, debootstrap and a network; the mirror is that of the machine's own apt sources.
		The last line reads "N passed, N failed".
	USAGE
}

suites=() dir=
while [ $# -gt 0 ]; do
	case $1 in
	--suite) suites+=("${2:?}"); shift 2 ;;
	--dir) dir=${2:?}; shift 2 ;;
	-h | --help) usage; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
done
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)
[ $# -gt 0 ] || set -- "scripts/vm-test.sh demo" "scripts/test.sh --quick"
die() { echo "clean-test: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "root is needed (debootstrap, chroot, mounts)"
command -v debootstrap >/dev/null || die "debootstrap is missing"
repo=$(cd "$(dirname "$0")/.." && pwd) || exit 1
if [ -z "$dir" ]; then
	dir=$(mktemp -d) || exit 1
	trap 'rm -rf --one-file-system "$dir"' EXIT
fi
mkdir -p "$dir/debs" && dir=$(cd "$dir" && pwd) || exit 1
# shellcheck disable=SC2016 # apt-get's own variable
mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
	awk '$1 == "Debian" && $3 !~ /-/ {print $2; exit}')
[ -n "$mirror" ] || die "apt knows no Debian suite here: run 'apt-get update' first"

# make_root ROOT SUITE
make_root() {
	debootstrap --cache-dir="$dir/debs" --variant=minbase --include=git "$2" "$1" "$mirror" >"$1.log" 2>&1 ||
		{ tail -n 5 "$1.log"; return 1; }
	# The network as it is here, with the proxies and authorities that it may want.
	cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
	cp /etc/apt/apt.conf.d/*proxy* "$1/etc/apt/apt.conf.d/" 2>/dev/null
	[ -z "${SSL_CERT_FILE-}" ] || cp -L "$SSL_CERT_FILE" "$1/etc/authorities.crt" || return 1
	# A clone without its origin: nothing but what is committed.
	git clone -q "$repo" "$1/root/safeload" && git -C "$1/root/safeload" remote remove origin
}

# in_root ROOT COMMAND: by bash, in the clone, in mounts of its own, which end with it. The processes are the machine's:
# the guard, and so its tests, see who waits for whom by the kernel's own numbers of tasks.
in_root() {
	local name keep=()
	for name in http_proxy https_proxy no_proxy GOPROXY GOSUMDB; do
		[ -z "${!name-}" ] || keep+=("$name=${!name}")
	done
	[ ! -e "$1/etc/authorities.crt" ] || keep+=(SSL_CERT_FILE=/etc/authorities.crt)
	# shellcheck disable=SC2016 # expanded in the namespaces
	unshare --mount --propagation private env root="$1" command="$2" slots="${SAFELOAD_SLOTS:-/var/lock/safeload-vm}" bash -c '
		mount --bind "$root" "$root" && mount -t proc proc "$root/proc" && mount -t sysfs sysfs "$root/sys" && mount --rbind /dev "$root/dev" &&
			mount -t tmpfs none "$root/run" && mkdir -p "$slots" "$root/run/lock/safeload-vm" &&
			mount --bind "$slots" "$root/run/lock/safeload-vm" || exit 1 # its guests are among those of the machine
		exec chroot "$root" /usr/bin/env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			"$@" bash -c "cd /root/safeload && $command"' bash "${keep[@]}"
}

passed=0 failed=0
for suite in "${suites[@]}"; do
	root=$dir/$suite
	if [ ! -d "$root/root/safeload" ] && ! make_root "$root" "$suite"; then
		failed=$((failed + 1))
		echo "FAILED  $suite: no root"
		continue
	fi
	for command; do
		echo "=== $suite: $command"
		before=$SECONDS
		if in_root "$root" "$command" </dev/null; then
			passed=$((passed + 1)) verdict=ok
		else
			failed=$((failed + 1)) verdict=FAILED
		fi
		printf -- '--- %-7s %s: %s, in %d s\n' "$verdict" "$suite" "$command" $((SECONDS - before))
	done
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
