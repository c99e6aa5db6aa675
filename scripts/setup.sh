# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a door of this repository (vm-test.sh, test.sh) needs on the machine: Go, and Debian's packages. What is missing
# is named, and then installed as root or by sudo.

. scripts/go.sh
# A door may be called by another.
case " ${GOFLAGS-} " in *" $go_flags "*) ;; *) export GOFLAGS="${GOFLAGS:+$GOFLAGS }$go_flags" ;; esac

# meanwhile is what a door does that needs nothing but Go, while packages are installed.
meanwhile() { :; }

# setup NAME INSTALL GROUP...: NAME begins its messages. INSTALL is yes, or no: then what is missing is only named, and
# that fails. GROUPs are those of deps.sh; none means Go alone. Afterwards go is in PATH. To be called in the repository.
setup() {
	local name=$1 install=$2 packages=() missing=() want beside result
	shift 2
	PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin
	want=$(go_wanted)
	if [ $# -gt 0 ]; then
		mapfile -t packages < <(scripts/deps.sh "$@")
		[ ${#packages[@]} -gt 0 ] || return 1
	fi
	mapfile -t missing < <(packages_missing "${packages[@]}")
	command -v go >/dev/null || missing+=(golang-go)
	if [ ${#missing[@]} -gt 0 ]; then
		echo "$name: these packages are missing: ${missing[*]}" >&2
		if [ "$install" != yes ]; then
			! command -v go >/dev/null || go_enough "$want" || go_use "$want" ||
				echo "$name: Go $want is missing; this is $(own_go env GOVERSION)" >&2
			return 1
		fi
		echo "$name: installing them" >&2
		packages_list "$name" || return 1
		# Go first: it has work for the processors that the others leave idle.
		command -v go >/dev/null || packages_install "$name" golang-go ca-certificates || return 1
		go_there "$name" "$install" "$want" || return 1
		meanwhile >/dev/null 2>&1 &
		beside=$!
		packages_install "$name" "${missing[@]}"
		result=$?
		wait "$beside"
		return $result
	elif [ $# -gt 0 ] && ! lists_there; then
		# What the guests consist of comes through the same sources.
		[ "$install" = yes ] || { echo "$name: apt has no package lists: run 'apt-get update'" >&2; return 1; }
		packages_list "$name" || return 1
	fi
	go_there "$name" "$install" "$want"
}

# go_there NAME INSTALL VERSION: Go of that version or newer is in PATH, or fetched.
go_there() {
	if ! go_enough "$3" && ! go_use "$3"; then
		echo "$1: Go $3 is missing; this is $(own_go env GOVERSION)" >&2
		[ "$2" = yes ] || return 1
		echo "$1: fetching Go $3 through the Go module proxy" >&2
		if ! go_fetch "$3" || ! go_use "$3"; then
			echo "$1: Go $3 cannot be fetched: put it into PATH" >&2
			return 1
		fi
	fi
	go_experiment
}

# packages_missing PACKAGE...: those that are not installed. A system without dpkg has to know by itself.
packages_missing() {
	[ $# -gt 0 ] && command -v dpkg-query >/dev/null || return 0
	# A package can be there under a name that another one provides.
	# shellcheck disable=SC2016 # dpkg-query's own variables
	dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' 2>/dev/null |
		awk -v want="$*" '
			$1 == "installed" { $1 = ""; n = split($0, p, ","); for (i = 1; i <= n; i++) { split(p[i], w, " "); have[w[1]] = 1 } }
			END { n = split(want, w, " "); for (i = 1; i <= n; i++) if (!(w[i] in have)) print w[i] }'
}

lists_there() {
	command -v apt-get >/dev/null || return 0
	local f
	for f in /var/lib/apt/lists/*_Packages*; do [ -e "$f" ] && return 0; done
	return 1
}

# as_root NAME COMMAND...
as_root() {
	local name=$1
	shift
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif ! command -v sudo >/dev/null; then
		echo "$name: neither root nor sudo; as root: $*" >&2
		return 1
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

# apt_get NAME ARGUMENT...: apt-get as root; what it says is of interest only if it fails.
apt_get() {
	local name=$1 log result
	shift
	command -v apt-get >/dev/null || { echo "$name: no apt-get here: install them by hand" >&2; return 1; }
	log=$(mktemp "${TMPDIR:-/tmp}/safeload-apt.XXXXXX") || return 1
	as_root "$name" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >"$log" 2>&1 </dev/null
	result=$?
	[ $result = 0 ] || tail -n 40 "$log" >&2
	rm -f "$log"
	hash -r
	return $result
}
packages_list() { apt_get "$1" update; }
packages_install() { apt_get "$1" -y --no-install-recommends install "${@:2}"; }

# go_wanted: the version in go.mod.
go_wanted() { awk '$1 == "toolchain" {sub(/^go/, "", $2); t = $2} $1 == "go" {v = $2} END {print t ? t : v}' go.mod; }

# own_go ARGUMENT...: go as it is itself, not the one that it would fetch for our go.mod.
own_go() { (cd / && GOTOOLCHAIN=local GOFLAGS='' GO111MODULE=on go "$@"); }

# go_enough VERSION: the go in PATH is that or newer.
go_enough() {
	local have
	have=$(own_go env GOVERSION 2>/dev/null) || return 1
	have=${have#go}
	have=${have%%[!0-9.]*}
	[ -n "$have" ] && [ "$(printf '%s\n' "$1" "$have" | sort -V | head -n 1)" = "$1" ]
}

# A toolchain is a module too, and any go that knows modules can fetch it: from 1.21 on it would do so by itself, but
# Debian 12's is older. The checksum database vouches for it as for any module.
go_module() { echo "golang.org/toolchain@v0.0.1-go$1.linux-$(own_go env GOHOSTARCH)"; }
go_fetch() { own_go mod download "$(go_module "$1")"; }

# go_use VERSION: puts it into PATH if it was fetched.
go_use() {
	local dir
	dir=$(own_go env GOMODCACHE)/$(go_module "$1")
	[ -e "$dir/bin/go" ] || return 1
	# Modules' files are not executable.
	[ -x "$dir/bin/go" ] || chmod -R a+x "$dir/bin" "$dir/pkg/tool" || return 1
	PATH=$dir/bin:$PATH
	hash -r
	go_enough "$1"
}
