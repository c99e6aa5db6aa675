// SPDX-License-Identifier: Apache-2.0

#define SIG_SETMASK	2

// What the runtime makes its threads with (cloneFlags in runtime/os_linux.go):
// CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD; and
// CLONE_VFORK.
#define THREAD	(0x100|0x200|0x400|0x800|0x40000|0x10000|0x4000)
