// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Wants to be probed in an async function, and asks there; its other driver asks too, but does not want that. */
#include "fixture.h"
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
static int probe(void *device) { return __request_module(1, "fix-need-nothing"); }
static int probe2(void *device) { return __request_module(1, "fix-need-rtnl"); }
static struct platform_driver async = { .probe = probe, .driver = { .name = "waitasync", .probe_type = 1 } };
static struct platform_driver plain = { .probe = probe2, .driver = { .name = "waitplain", .probe_type = 2 } };
int init_module(void) { return __platform_driver_register(&async, 0) + __platform_driver_register(&plain, 0); }
