#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists the Debian packages that the tests need, one a line, each with what needs it.
#   apt-get install --no-install-recommends $(scripts/deps.sh)
# Go itself (the version in go.mod) is not among them: Debian's is older.
set -eu
sed -e 's/[[:space:]]*#.*//' -e '/^$/d' <<'LIST'
bc                          # kernel headers' Makefiles
bison                       # VM: --seed-kernel
binutils                    # build-test.sh: readelf
binutils-aarch64-linux-gnu  # VM: test modules
binutils-arm-linux-gnueabihf
busybox-static              # VM: the guests' shell
ca-certificates             # Go modules
clang                       # generated files: bpf2go
cpio                        # VM: initramfs images
debootstrap                 # packages: a Debian root to install into
e2fsprogs                   # packages: the disk of the system that is booted
fish                        # completion
flex                        # VM: --seed-kernel
gcc                         # go test -race
gcc-aarch64-linux-gnu
gcc-arm-linux-gnueabihf
git
graphviz                    # diagnose --dot
kmod                        # the peer in all comparisons
libbpf-dev                  # generated files: bpf_helpers.h
libc6-dev
libelf-dev
linux-libc-dev
llvm                        # generated files: llvm-strip
make
mandoc                      # man pages
patch                       # VM: the incident's module
qemu-system-arm
qemu-system-x86
qemu-user-static            # build-test.sh: arm and arm64 binaries
shellcheck
util-linux
xz-utils
zsh                         # completion
zstd
LIST
