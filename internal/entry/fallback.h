// SPDX-License-Identifier: Apache-2.0

// What the entries share: of 64 bits the runtime maps 40 MB to write to, of
// which it uses little. Under vm.overcommit_memory=2 all of it must be there,
// and the kernel wants some 40 MB more to be left. MAP_NORESERVE is ignored
// there alone; elsewhere this asks for nothing.
#ifndef NEEDED
#define NEEDED	(80<<20)
#endif
#define PROT	3	// PROT_READ|PROT_WRITE
#define MAP	0x4022	// MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE

#define POVERTY	83
DATA ·poverty+0(SB)/8, $"safeload"
DATA ·poverty+8(SB)/8, $": guard:"
DATA ·poverty+16(SB)/8, $" too lit"
DATA ·poverty+24(SB)/8, $"tle memo"
DATA ·poverty+32(SB)/8, $"ry can b"
DATA ·poverty+40(SB)/8, $"e had to"
DATA ·poverty+48(SB)/8, $" start; "
DATA ·poverty+56(SB)/8, $"loading "
DATA ·poverty+64(SB)/8, $"by kmod,"
DATA ·poverty+72(SB)/8, $" unguard"
DATA ·poverty+80(SB)/8, $"ed\x0a\x00\x00\x00\x00\x00"
GLOBL ·poverty(SB), RODATA|NOPTR, $88

// From its fifth byte on it is the other place.
DATA ·kmod+0(SB)/8, $"/usr/bin"
DATA ·kmod+8(SB)/8, $"/kmod\x00\x00\x00"
GLOBL ·kmod(SB), RODATA|NOPTR, $16

DATA ·kmsg+0(SB)/8, $"/dev/kms"
DATA ·kmsg+8(SB)/8, $"g\x00\x00\x00\x00\x00\x00\x00"
GLOBL ·kmsg(SB), RODATA|NOPTR, $16

DATA ·modprobe+0(SB)/8, $"modprobe"
DATA ·modprobe+8(SB)/8, $"\x00\x00\x00\x00\x00\x00\x00\x00"
GLOBL ·modprobe(SB), RODATA|NOPTR, $16
