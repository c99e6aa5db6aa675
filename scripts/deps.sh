#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists the Debian packages that the tests need, one a line.
# usage: deps.sh            all of them
#        deps.sh GROUP...   those of some steps of test.sh, of "vm" or "demo" of vm-test.sh, or of "seed" (--seed-kernel)
# Go is not among them: scripts/setup.sh finds or fetches the version that go.mod names.
set -eu
# Package, groups, what needs it. "all" is every group.
list() {
	sed -e 's/[[:space:]]*#.*//' -e '/^$/d' <<-'LIST'
		bash                        all
		bc                          vm,audit,seed     # kernel headers' Makefiles
		binutils                    build,package,vm  # readelf, strip
		binutils-aarch64-linux-gnu  vm,audit,unit     # test modules, audit's fixtures
		binutils-arm-linux-gnueabihf vm,audit,unit,seed
		bison                       seed
		busybox-static              vm,demo           # the guests' shell
		ca-certificates             all               # Go modules
		clang                       generate          # bpf2go
		cpio                        vm,demo,diff,package,audit # initramfs images
		debootstrap                 package           # a Debian root to install into
		e2fsprogs                   package           # the disk of the system that is booted
		fish                        unit              # completion
		flex                        seed
		gcc                         unit,vm,seed      # go test -race, amd64's test modules
		gcc-aarch64-linux-gnu       vm,audit,unit
		gcc-arm-linux-gnueabihf     vm,audit,unit,seed
		git                         all
		graphviz                    unit              # diagnose --dot
		kmod                        vm,demo,diff,package,audit,unit # the peer in all comparisons; depmod
		libbpf-dev                  generate          # bpf_helpers.h
		libc6-dev                   unit,vm,generate,seed
		libelf-dev                  vm,seed
		linux-libc-dev              generate,unit
		llvm                        generate          # llvm-strip
		make                        vm,audit,seed
		mandoc                      man,unit
		patch                       vm,audit          # the incident's module
		qemu-system-arm             vm,demo
		qemu-system-x86             vm,package
		qemu-user-static            build,unit        # arm and arm64 binaries
		shellcheck                  shell
		util-linux                  all               # flock, unshare
		xz-utils                    all
		zsh                         unit              # completion
		zstd                        unit,diff,vm
	LIST
}
for group; do
	list | awk '{print $2}' | tr , '\n' | grep -qx -e "$group" || case $group in format | modules | vet | lint | vuln) ;; *)
		echo "deps.sh: no group $group" >&2
		exit 2
		;;
	esac
done
list | awk -v want="$*" '
	BEGIN { n = split(want, w, " "); for (i in w) asked[w[i]] = 1 }
	{
		found = (n == 0 || $2 == "all")
		k = split($2, g, ",")
		for (i = 1; i <= k; i++) if (g[i] in asked) found = 1
		if (found) print $1
	}'
