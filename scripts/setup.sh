# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a door of this repository (vm-test.sh, test.sh) needs on the machine: Go, and Debian's packages. What is missing
# is named, and then installed as root or by sudo.

. scripts/go.sh
# A door may be called by another.
case " ${GOFLAGS-} " in *" $go_flags "*) ;; *) export GOFLAGS="${GOFLAGS:+$GOFLAGS }$go_flags" ;; esac

# setup NAME INSTALL GROUP...: NAME begins its messages. INSTALL is yes, or no: then what is missing is only named, and
# that fails. GROUPs are those of deps.sh; none means Go alone. Afterwards go is in PATH. To be called in the repository.
setup() { packages_and_go "$@" && go_experiment; }

packages_and_go() {
	local name=$1 install=$2 packages=() missing=() want
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
		packages_install "$name" "${missing[@]}" || return 1
	elif [ $# -gt 0 ] && ! lists_there; then
		# What the guests consist of comes through the same sources.
		[ "$install" = yes ] || { echo "$name: apt has no package lists: run 'apt-get update'" >&2; return 1; }
		as_root "$name" apt-get -q update >/dev/null || return 1
	fi
	go_enough "$want" && return 0
	go_use "$want" && return 0
	echo "$name: Go $want is missing; this is $(own_go env GOVERSION)" >&2
	[ "$install" = yes ] || return 1
	echo "$name: fetching Go $want through the Go module proxy" >&2
	if ! go_fetch "$want" || ! go_use "$want"; then
		echo "$name: Go $want cannot be fetched: put it into PATH" >&2
		return 1
	fi
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

packages_install() {
	local name=$1 log
	shift
	command -v apt-get >/dev/null || { echo "$name: no apt-get here: install them by hand" >&2; return 1; }
	log=$(mktemp "${TMPDIR:-/tmp}/safeload-apt.XXXXXX") || return 1
	echo "$name: installing them" >&2
	if ! as_root "$name" apt-get -q update >"$log" 2>&1 ||
		! as_root "$name" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >>"$log" 2>&1 </dev/null; then
		tail -n 40 "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
	hash -r
}

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
