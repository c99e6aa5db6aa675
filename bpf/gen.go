// SPDX-License-Identifier: Apache-2.0

package bpf

//go:generate go tool bpf2go -target arm,arm64,amd64 -no-global-types -cflags "-O2 -g -Wall -Werror -mcpu=v2" probe src/probe.bpf.c
//go:generate go tool bpf2go -target arm64,amd64 -no-global-types -cflags "-O2 -g -Wall -Werror -mcpu=v2" stack src/stack.bpf.c
//go:generate go tool bpf2go -target arm,arm64,amd64 -no-global-types -cflags "-O2 -g -Wall -Werror -mcpu=v2" peek src/peek.bpf.c
//go:generate go tool bpf2go -target arm,arm64,amd64 -no-global-types -cflags "-O2 -g -Wall -Werror -mcpu=v2" phase src/phase.bpf.c
