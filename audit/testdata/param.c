// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Requests what its parameter says, as tcrypt does. */
#include "fixture.h"
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
static char *what;
extern const int param_ops_charp;
static const char name[] = "param.what";
struct kernel_param { const char *name; void *mod; const void *ops; const unsigned short perm; signed char level; unsigned char flags; void *arg; };
static const struct kernel_param p __attribute__((section("__param"), used, aligned(sizeof(void *)))) =
	{ name, 0, &param_ops_charp, 0, -1, 0, &what };
int init_module(void) { return __request_module(1, "fix-%s", what) + 1; }
