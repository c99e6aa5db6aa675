# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: 240 modules (50 without --full) loaded and removed one after the other, by kmod in one boot and by safeload in the other
# kernels: arm-6.12 amd64-6.12
# boot: dropin
# limit: 600
# extra: net
#
# After each the two boots must have the same modules with the same sizes, uses and users and the same parameters;
# after every forty and at the end the same lsmod, each by its own program; and the same again during removal.
setup() {
	sed -n 's#^kernel/\(net/.*filter\|net/sched\|fs/nls\)/\([^/]*\)\.ko:.*#\2#p' "/lib/modules/$kver/modules.dep" | sort | head -n "$(by_scale 50 240)" >/tmp/dropin.mods
	{
		echo "options nf_conntrack hashsize=4096"
		echo "softdep nls_utf8 pre: nls_cp850 post: nls_cp1251"
		echo "blacklist nls_cp1250"
		echo "install nls_koi8-u /bin/busybox true"
	} | conf dropin
}

# all DIR: everything with the programs of one of the two. What it prints is compared, but for how long it took.
all() {
	/t/vmtool dropin "$1" </tmp/dropin.mods >/tmp/dropin.out
	loaded=$(sed -n 's/^loaded //p' /tmp/dropin.out)
	while read -r key text; do
		case $key in lasted) log "$case: $text" ;; *) note "$key" "$text" ;; esac
	done </tmp/dropin.out
}

programs() { # the applets of safeload by name, as an installation has them
	mkdir -p /tmp/dropin
	for p in modprobe lsmod; do ln -sf /safe/safeload "/tmp/dropin/$p"; done
	ln -sf /safe/modprobe /tmp/dropin/modprobe
}

stock() { all /stock; want "kmod loaded what was asked for, or nearly" [ "$loaded" -gt "$(by_scale 40 150)" ]; }
check() { programs; all /tmp/dropin; want "safeload loaded what was asked for, or nearly" [ "$loaded" -gt "$(by_scale 40 150)" ]; }
