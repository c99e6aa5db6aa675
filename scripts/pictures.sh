#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the pictures in docs/img anew, from guests in which what they show happens; or opens pictures in a browser.
set -euo pipefail
only=
case ${1-} in
'') ;;
tcrypt | timeline) only=$1 ;;
--check)
	# Debian's chromium, at 800 and 1600 px, light and dark: no script errs, nothing is fetched, no text is outside its box.
	here=$(dirname "$0")/..
	shift
	[ $# -gt 0 ] || set -- "$here"/docs/img/*
	command -v chromium >/dev/null || { echo "pictures.sh: --check needs chromium (apt-get install chromium)" >&2; exit 1; }
	browser=$(mktemp); trap 'rm -f "$browser"' EXIT
	(cd "$here" && go build -o "$browser" ./scripts/browser)
	"$browser" "$@" && "$browser" --dark "$@"
	exit
	;;
-h | --help) printf '%s\n' "usage: pictures.sh [NAME]              makes docs/img anew, from guests; or one: tcrypt, timeline" "       pictures.sh --check [FILE...]   opens them, or SVG and HTML files, in Chromium"; exit 0 ;;
*) echo "usage: pictures.sh [NAME | --check [FILE...]]" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

# picture NAME ARCH KERNEL CASE < COMMANDS: what a guest prints between two marks becomes docs/img/NAME.svg.
picture() {
	[ "${only:-$1}" = "$1" ] || return 0
	{ cat; echo 'echo; echo "#PICTURE#"; cat /tmp/picture.svg; echo "#END#"'; } |
		SHELL_LIMIT=300 scripts/vm-test.sh --arch "$2" --kernel "$3" --case "$4" --shell >"$work/console" 2>&1 || true
	tr -d '\r' <"$work/console" | sed -n '/^#PICTURE#$/,/^#END#$/p' | sed '1d;$d' >"$work/svg"
	grep -q '</svg>' "$work/svg" || { tail -n 30 "$work/console" >&2; echo "pictures.sh: $1: the guest gave no picture" >&2; return 1; }
	mv "$work/svg" "docs/img/$1.svg"
	echo "docs/img/$1.svg"
}

# tcrypt, which every kernel has, asks for crypto-recurse: an alias makes that tcrypt. kmod hangs.
picture tcrypt arm 6.12 tcrypt <<'END'
echo "alias crypto-recurse tcrypt" >/etc/modprobe.d/picture.conf
echo /stock/modprobe >/proc/sys/kernel/modprobe
/stock/modprobe tcrypt alg=recurse &
sleep 15
/stock/modprobe tcrypt &
sleep 2
/safe/safeload diagnose --svg >/tmp/picture.svg
END

# Six processes load modules that need many others, some of them the same; a user opens sockets of all families; tcrypt asks for
# itself, and safeload's modprobe refuses that.
picture timeline arm 6.12 drop-in <<'END'
echo "alias crypto-recurse tcrypt" >/etc/modprobe.d/picture.conf
echo /safe/modprobe >/proc/sys/kernel/modprobe
/safe/safeload watch --json --record /run/record --ready-file /run/watch.ready >/tmp/watch.out 2>&1 &
watch=$!
n=0
until [ -s /run/watch.ready ] || [ $n -gt 240 ]; do sleep 0.5; n=$((n + 1)); done
all=
for m in nft_ct nft_masq xt_conntrack ip6t_REJECT nf_conntrack_netlink ebt_limit; do /safe/modprobe $m & all="$all $!"; done
/t/vmtool sockets 1000 & all="$all $!"
/safe/modprobe tcrypt alg=recurse & all="$all $!"
for p in $all; do wait $p; done
kill -TERM $watch
wait $watch
/safe/safeload timeline --svg /run/record >/tmp/picture.svg
END
