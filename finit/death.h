// SPDX-License-Identifier: Apache-2.0

// CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|
// CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID
#define CLONE	0x00350F00

// Offsets in witness, and states of its word.
#define WORD	0
#define TID	4
#define DIED	0
#define IN_CALL	1

#define EINTR	4
#define EAGAIN	11
#define PR_SET_DUMPABLE	4
#define SIG_UNBLOCK	1
#define SIGSEGV	11
#define SIGSET	8
#define STATUS	139	// of a process that SIGSEGV ended, to a shell
