#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dracut hook, before udev: leaves the probe in the kernel. It stays through
# switch_root, which moves /sys with what is mounted below it.
if [ -x /usr/sbin/safeload ]; then
	/usr/sbin/safeload probe load --patience 0s >/dev/null 2>&1
fi
