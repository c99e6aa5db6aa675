# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: brcmfmac, and a WLAN stick that runs its firmware already (a USB device in software)
# kernels: arm-6.12 amd64-6.12 arm-newest amd64-newest
# matrix: amd64-6.12
# off-target: its driver is given a device that is not there
# boot: brcmfmac
# limit: 90
# modules: dummy_hcd usb_f_fs libcomposite brcmfmac brcmfmac-wcc
#
# safeload audit found this by reading; docs/audit.md has it step by step.
stick=/sys/bus/usb/devices/1-1:1.0

setup() {
	for m in dummy_hcd usb_f_fs libcomposite; do /stock/modprobe "$m"; done
	start stick /t/vmtool gadget 0x0a5c 0x0bdc /run/stick
	wait_for 30 test -e /run/stick -a -e "$stick"
}

control() {
	start brcmfmac /stock/modprobe "$(cat "$stick/modalias")"
	must_hang brcmfmac brcmfmac
	# The hang holds the device's lock, for which a power-off waits, too.
	start free sh -c 'until [ -e /tmp/controls.over ]; do sleep 1; done; kill $(pidof modprobe)'
}

check() {
	want "the stick is there" test -e "$stick"
	kmsg_mark
	start brcmfmac /safe/modprobe "$(cat "$stick/modalias")"
	finish brcmfmac 60
	want "modprobe ends with 0" [ "$rc" = 0 ]
	log "$case: modprobe took $(seconds "$took") s"
	want "the module is live" is brcmfmac live
	want "one refusal" count "$(kmsg)" "safeload: refused brcmfmac (request brcmfmac-wcc)" 1
	want "proven, not suspected" proven
	want "the driver says that its request failed" has "$(kmsg)" "brcmf_fwvid_attach failed"
	start bind sh -c "echo ${stick##*/} >/sys/bus/usb/drivers/brcmfmac/bind"
	finish bind 30
	want "the stick is bound afterwards" [ "$rc" = 0 ]
	want "by the same request, out of any init" is brcmfmac_wcc live
	want "its network device is there" test -e /sys/class/net/wlan0
	want "no second refusal" count "$(kmsg)" "safeload: refused" 1
}
