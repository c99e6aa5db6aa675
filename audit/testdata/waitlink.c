// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A kind of link whose newlink asks for another: the kernel calls it under rtnl. Another function asks without it, and one releases rtnl first. */
#include "fixture.h"
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
struct link_ops { void *next, *prev; const char *kind; int (*newlink)(void *net); int (*changelink)(void *net); void (*dellink)(void *net); };
extern int rtnl_link_register(struct link_ops *ops);
volatile int link_state;
static int newlink(void *net)
{
	link_state++;
	return __request_module(1, "fix-need-rtnl") + 1;
}
static int changelink(void *net)
{
	int r;
	rtnl_unlock();
	r = __request_module(1, "fix-need-rtnl2");
	rtnl_lock();
	return r + 1;
}
static void dellink(void *net) { link_state++; }
static struct link_ops ops = { .kind = "waitlink", .newlink = newlink, .changelink = changelink, .dellink = dellink };
int link_other(void) { return __request_module(1, "fix-need-rtnl2") + 1; }
int init_module(void) { return rtnl_link_register(&ops); }
