#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists the Debian packages that the tests need, one a line.
# usage: deps.sh            all of them
#        deps.sh GROUP...   those of some steps of test.sh, of "quick" (its --quick), of "vm", "demo", "target" or
#                           "seed" (--seed-kernel) of vm-test.sh, or of "vm-arm", "vm-arm64", "vm-amd64", its guests of one architecture
# Go is not among them: scripts/setup.sh finds or fetches the version that go.mod names.
set -eu
# Package, groups, what needs it. "all" is every group.
list() {
	sed -e 's/[[:space:]]*#.*//' -e '/^$/d' <<-'LIST'
		bash                        all
		bc                          guest,audit,seed,target     # kernel headers' Makefiles
		binutils                    build,package,guest,target  # readelf, strip
		binutils-aarch64-linux-gnu  arm64,audit,unit,target     # test modules, audit's fixtures
		binutils-arm-linux-gnueabihf arm,audit,unit,seed,target
		bison                       seed
		busybox-static              guest,demo,unit           # the guests' shell
		ca-certificates             all               # Go modules
		clang                       generate          # bpf2go
		cpio                        guest,demo,diff,package,audit # initramfs images
		debootstrap                 package           # a Debian root to install into
		e2fsprogs                   package           # the disk of the system that is booted
		fish                        unit              # completion
		flex                        seed
		gcc                         unit,amd64,seed,target      # go test -race, amd64's test modules
		gcc-aarch64-linux-gnu       arm64,audit,unit,target
		gcc-arm-linux-gnueabihf     arm,audit,unit,seed,target
		git                         all
		graphviz                    unit              # diagnose --dot
		kmod                        guest,demo,diff,package,audit,unit # the peer in all comparisons; depmod
		libbpf-dev                  generate          # bpf_helpers.h
		libc6-dev                   unit,amd64,generate,seed,target
		libelf-dev                  amd64,seed,target        # objtool
		linux-libc-dev              generate,unit
		llvm                        generate          # llvm-strip, llvm-objcopy
		make                        guest,audit,seed,target
		mandoc                      man,unit
		openssh-client              target            # --target ssh://...
		patch                       arm,audit,target          # the incident's module
		qemu-system-arm             arm,arm64,demo
		qemu-system-x86             amd64,package
		qemu-user-static            build,unit,short        # arm and arm64 binaries
		shellcheck                  shell
		util-linux                  all               # flock, unshare
		xz-utils                    all
		zsh                         unit              # completion
		zstd                        unit,short,diff,guest
	LIST
}
# A group of others: the guests of an architecture need what all guests do, and --quick has short unit tests, a
# comparison and guests of one architecture.
groups=()
for group; do
	case $group in
	vm) groups+=(guest arm arm64 amd64) ;;
	vm-arm | vm-arm64 | vm-amd64) groups+=(guest "${group#vm-}") ;;
	quick) groups+=(short diff guest arm) ;;
	guest | arm | arm64 | amd64 | short) groups+=("no-$group") ;; # parts, not to be asked for
	*) groups+=("$group") ;;
	esac
done
for group in "${groups[@]+"${groups[@]}"}"; do
	list | awk '{print $2}' | tr , '\n' | grep -qx -e "$group" || case $group in format | modules | vet | lint | vuln) ;; *)
		echo "deps.sh: no group ${group#no-}" >&2
		exit 2
		;;
	esac
done
list | awk -v want="${groups[*]-}" '
	BEGIN { n = split(want, w, " "); for (i in w) asked[w[i]] = 1 }
	{
		found = (n == 0 || $2 == "all")
		k = split($2, g, ",")
		for (i = 1; i <= k; i++) if (g[i] in asked) found = 1
		if (found) print $1
	}'
