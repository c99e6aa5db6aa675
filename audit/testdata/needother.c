// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Registers a driver for another device than waitprobe. */
#include "fixture.h"
INFO("alias=fix-need-other")
INFO("alias=usb:v1235p*d*dc*dsc*dp*ic03isc*ip*in*")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
volatile int state;
static int probe(void *interface, const void *id) { return state; }
static struct usb_driver driver = { .name = "needother", .probe = probe };
int init_module(void) { return usb_register_driver(&driver, 0, "needother"); }
