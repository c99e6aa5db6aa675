// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Its probe asks for a driver of the same device, and for one of another. */
#include "fixture.h"
INFO("alias=usb:v1234p0001d*dc*dsc*dp*ic*isc*ip*in*")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
static int probe(void *interface, const void *id)
{
	return __request_module(1, "fix-need-device") + __request_module(1, "fix-need-other");
}
static struct usb_driver driver = { .name = "waitprobe", .probe = probe };
int init_module(void) { return usb_register_driver(&driver, 0, "waitprobe"); }
