# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian packages of any architecture, through the machine's own apt sources, into the cache.
#
# Nothing of the host's apt or dpkg is changed: each architecture has an apt of its own in the cache.
# Its sources are those Debian suites that the host is set up for, and the backports suite of the same
# mirror, which carries the newer kernels when the security suite has none. apt checks the signatures.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Below, ARCH is an architecture, or ARCH@SUITE for another suite of the same mirrors, of which only the main
# archive is used.

# apt_env ARCH: points apt at the private configuration.
apt_env() { export APT_CONFIG=$cache/apt/$1/etc/apt.conf; }

# apt_sources [SUITE]
apt_sources() {
	apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
		awk -F'|' -v opt="[signed-by=$keyring]" -v suite="${1-}" '
			$1 == "Debian" && suite {
				if ($3 !~ /-/) print "deb", opt, $2, suite, $4
				next
			}
			$1 == "Debian" && !seen[$0]++ {
				print "deb", opt, $2, $3, $4
				if ($3 !~ /-/) print "deb", opt, $2, $3 "-backports", $4
			}' | sort -u
}

apt_setup() {
	local arch=${1%@*} suite='' d=$cache/apt/$1
	[ "$arch" = "$1" ] || suite=${1#*@}
	mkdir -p "$d"/etc/{apt.conf.d,preferences.d,sources.list.d} "$d"/state/lists/partial "$d"/cache/archives/partial
	[ -e "$d/state/status" ] || : >"$d/state/status"
	cat >"$d/etc/apt.conf" <<-CONF
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Sandbox::User "";
		Dir::Etc "$d/etc";
		Dir::Etc::trusted "/etc/apt/trusted.gpg";
		Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
		Dir::State "$d/state";
		Dir::State::status "$d/state/status";
		Dir::Cache "$d/cache";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::http::Timeout "60";
	CONF
	(unset APT_CONFIG; apt_sources "$suite") >"$d/etc/sources.list"
	[ -s "$d/etc/sources.list" ] ||
		die "apt knows no Debian suite here: run 'apt-get update' first, on a machine with Debian sources"
}

# apt_update ARCH: at most once in twelve hours. A suite that the mirror serves in a broken state is left
# out with a warning; what it alone has is then missed where it is asked for, by name.
apt_update() {
	local arch=$1 stamp=$cache/apt/$1/updated log=$cache/log/apt-$1.log
	[ -n "$(find "$stamp" -mmin -720 2>/dev/null)" ] && return 0
	apt_setup "$arch"
	say "apt: reading the package lists for $arch"
	if ! (apt_env "$arch"; apt-get update) >"$log" 2>&1; then
		grep '^E:' "$log" | grep -v 'Some index files' | sed 's/^E: /apt: warning: /' >&2
	fi
	: >"$stamp"
}

# deb_get ARCH PACKAGE: prints the path of the downloaded package.
deb_get() {
	local arch=$1 pkg=$2 d=$cache/debs/$1 f
	locked "apt-$arch" apt_update "$arch" || return 1
	mkdir -p "$d"
	f=$(locked "deb-$arch" deb_get_locked "$arch" "$pkg" "$d") || die "cannot fetch $pkg for $arch (log: $cache/log/deb-$arch.log)"
	printf '%s\n' "$f"
}

deb_get_locked() {
	local arch=$1 pkg=$2 d=$3 uri
	apt_env "$arch"
	uri=$(apt-get download --print-uris "$pkg" 2>"$cache/log/deb-$arch.log" | awk 'NR == 1 {print $2}')
	[ -n "$uri" ] || return 1
	if [ ! -s "$d/$uri" ]; then
		say "apt: fetching $pkg ($arch)"
		(cd "$d" && apt-get download "$pkg") >>"$cache/log/deb-$arch.log" 2>&1 || return 1
	fi
	printf '%s\n' "$d/$uri"
}

# deb_unpack DIR ARCH PACKAGE...: unpacks packages into a directory.
deb_unpack() {
	local dir=$1 arch=$2 f p; shift 2
	mkdir -p "$dir"
	for p; do
		f=$(deb_get "$arch" "$p") || return 1
		dpkg-deb -x "$f" "$dir" || die "$f: cannot unpack"
	done
}

# newest_kernel DEBARCH SERIES FLAVOUR: the newest version of the series that the sources offer, as in
# linux-image-VERSION.
newest_kernel() {
	local arch=$1 series=$2 flavour=$3 pattern v
	locked "apt-$arch" apt_update "$arch" || return 1
	pattern=${series//./\\.}
	case $series in newest | trixie) pattern='[0-9]+' ;; esac
	v=$(
		apt_env "$arch"
		apt-cache search --names-only "^linux-image-$pattern\\.[0-9.]+([+-][a-z0-9]+)?-$flavour\$" |
			awk '{print $1}' | sed 's/^linux-image-//' | sort -V | tail -1
	)
	[ -n "$v" ] || die "the apt sources offer no linux-image for $arch, series $series, flavour $flavour"
	printf '%s\n' "$v"
}

# The suite with the newest kmod that Debian has released.
kmod_suite=trixie

# kmod_newer: sets kmod_root, a directory with that kmod and the libraries that it needs, none of it installed; or
# returns 1 and sets kmod_missing, why there is none.
kmod_newer() {
	local arch
	arch=$(dpkg --print-architecture)
	kmod_root=$cache/kmod/$kmod_suite-$arch kmod_missing=''
	(locked "kmod-$arch" kmod_newer_make "$arch@$kmod_suite") && return 0
	kmod_missing="the mirrors of this machine's apt sources do not give $kmod_suite's kmod"
	return 1
}

kmod_newer_make() {
	[ -e "$kmod_root/.complete" ] && return 0
	rm -rf "$kmod_root"
	deb_unpack "$kmod_root" "$1" kmod libc6 libssl3t64 zlib1g libzstd1 liblzma5 || return 1
	ln -s usr/lib usr/lib64 "$kmod_root/" # as base-files has it
	: >"$kmod_root/.complete"
}
