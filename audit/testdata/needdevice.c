// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Registers a driver for the device of waitprobe. */
#include "fixture.h"
INFO("alias=fix-need-device")
INFO("alias=usb:v1234p*d*dc*dsc*dp*ic03isc*ip*in*")
INFO("vermagic=6.1.0-fixture SMP")
INFO("depends=")
volatile int state;
static int probe(void *interface, const void *id) { return state; }
static struct usb_driver driver = { .name = "needdevice", .probe = probe };
int init_module(void) { return usb_register_driver(&driver, 0, "needdevice"); }
