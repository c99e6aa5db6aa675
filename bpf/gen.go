// SPDX-License-Identifier: Apache-2.0

package bpf

//go:generate go tool bpf2go -target arm,arm64,amd64 -no-global-types -cflags "-O2 -g -Wall -Werror -mcpu=v2" probe src/probe.bpf.c
//go:generate go tool bpf2go -target arm64,amd64 -no-global-types -cflags "-O2 -g -Wall -Werror -mcpu=v2" stack src/stack.bpf.c
//go:generate go tool bpf2go -target arm,arm64,amd64 -no-global-types -cflags "-O2 -g -Wall -Werror -mcpu=v2" peek src/peek.bpf.c
//go:generate go tool bpf2go -target arm,arm64,amd64 -no-global-types -cflags "-O2 -g -Wall -Werror -mcpu=v2" phase src/phase.bpf.c

// The lines of the sources, half of an object, go: the kernel would check them for each program at each load (check_btf_line
// in kernel/bpf/verifier.c), and only its log would name them. The types stay: maps are described by them. The same section has
// CO-RE's relocations, which stack alone has.
//go:generate sh -c "for f in probe_*.o peek_*.o phase_*.o; do llvm-objcopy --remove-section=.BTF.ext --remove-section=.rel.BTF.ext $DOLLAR{f} || exit; done"
