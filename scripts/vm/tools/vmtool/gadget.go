// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

func init() { tools["gadget"] = gadget }

// What brcmfmac's usb.c asks a device, and what it answers while its firmware runs.
const (
	getVersion = 5      // DL_GETVER
	postboot   = 0xA123 // BRCMF_POSTBOOT_ID
)

// Events of FunctionFS (linux/usb/functionfs.h).
const (
	eventEnable = 2
	eventSetup  = 4
)

// gadget is a USB device in software, on the other side of dummy_hcd: a Broadcom WLAN stick whose firmware runs
// already. It stays until it is killed. The modules dummy_hcd, libcomposite and usb_f_fs are loaded.
func gadget(args []string) int {
	if len(args) != 3 {
		return fatal("usage: vmtool gadget VENDOR PRODUCT READY-FILE")
	}
	g, ffs := "/sys/kernel/config/usb_gadget/g", "/run/ffs"
	if _, err := os.Stat("/sys/kernel/config/usb_gadget"); err != nil {
		if err := syscall.Mount("config", "/sys/kernel/config", "configfs", 0, ""); err != nil {
			return fatal("configfs: %v", err)
		}
	}
	for _, dir := range []string{g + "/configs/c.1", g + "/functions/ffs.f", ffs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fatal("%v", err)
		}
	}
	for file, text := range map[string]string{"idVendor": args[0], "idProduct": args[1], "bDeviceClass": "0xff"} {
		if err := os.WriteFile(filepath.Join(g, file), []byte(text), 0o644); err != nil {
			return fatal("%v", err)
		}
	}
	if err := os.Symlink(g+"/functions/ffs.f", g+"/configs/c.1/ffs.f"); err != nil {
		return fatal("%v", err)
	}
	if err := syscall.Mount("f", ffs, "functionfs", 0, ""); err != nil {
		return fatal("functionfs: %v", err)
	}
	ep0, err := os.OpenFile(ffs+"/ep0", os.O_RDWR, 0)
	if err != nil {
		return fatal("%v", err)
	}
	defer ep0.Close()
	for _, blob := range [][]byte{descriptors(), noStrings()} {
		if _, err := ep0.Write(blob); err != nil {
			return fatal("ep0: %v", err)
		}
	}
	controllers, _ := filepath.Glob("/sys/class/udc/*")
	if len(controllers) == 0 {
		return fatal("no device controller: dummy_hcd is not loaded")
	}
	if err := os.WriteFile(g+"/UDC", []byte(filepath.Base(controllers[0])), 0o644); err != nil {
		return fatal("%v", err)
	}
	return serve(ep0, args[2])
}

// descriptors: one interface ff/2/ff with a bulk endpoint each way, at full and at high speed.
func descriptors() []byte {
	le := binary.LittleEndian
	out := le.AppendUint32(nil, 3) // FUNCTIONFS_DESCRIPTORS_MAGIC_V2
	out = le.AppendUint32(out, 20+2*(9+7+7))
	out = le.AppendUint32(out, 1|2) // full, high
	out = le.AppendUint32(out, 3)
	out = le.AppendUint32(out, 3)
	for _, packet := range []uint16{64, 512} {
		out = append(out, 9, 4, 0, 0, 2, 0xff, 2, 0xff, 0)
		for _, address := range []byte{0x81, 0x02} {
			out = append(out, 7, 5, address, 2)
			out = append(le.AppendUint16(out, packet), 0)
		}
	}
	return out
}

func noStrings() []byte {
	out := make([]byte, 16)
	binary.LittleEndian.PutUint32(out, 2) // FUNCTIONFS_STRINGS_MAGIC
	binary.LittleEndian.PutUint32(out[4:], 16)
	return out
}

// serve answers the control requests to the interface: vendor requests as a dongle that runs its firmware, class
// requests as a firmware that says yes to everything and knows its address and version.
func serve(ep0 *os.File, ready string) int {
	le := binary.LittleEndian
	event, command := make([]byte, 12), []byte(nil)
	for {
		if _, err := io.ReadFull(ep0, event); err != nil {
			if errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.EIDRM) { // EIDRM: the host gave up a request
				continue
			}
			return fatal("ep0: %v", err)
		}
		if event[8] == eventEnable {
			if err := os.WriteFile(ready, nil, 0o644); err != nil {
				return fatal("%v", err)
			}
		}
		if event[8] != eventSetup {
			continue
		}
		kind, request, size := event[0], event[1], int(le.Uint16(event[6:]))
		answer := make([]byte, size)
		var err error
		switch {
		case kind == 0xC1: // in, vendor, interface
			if request == getVersion && size >= 4 {
				le.PutUint32(answer, postboot)
			}
			_, err = ep0.Write(answer)
		case kind == 0x21 && request == 0: // out, class, interface: a command, 16 bytes before its data
			_, err = ep0.Read(answer)
			command = answer
		case kind == 0xA1 && request == 1 && size >= 16 && len(command) >= 16:
			copy(answer, command[:16])
			le.PutUint32(answer[12:], 0) // status
			name, _, _ := bytes.Cut(command[16:], []byte{0})
			fmt.Printf("command %d %q size %d\n", le.Uint32(command), name, size)
			switch {
			case le.Uint32(command) == 140: // BRCMF_C_GET_BANDLIST: one, 2.4 GHz
				copy(answer[16:], "\x01\x00\x00\x00\x02\x00\x00\x00")
			case string(name) == "chanspec": // channel 1, 20 MHz
				copy(answer[16:], "\x01\x10\x00\x00")
			case string(name) == "cur_etheraddr":
				copy(answer[16:], "\x02\x00\x00\x00\x00\x01")
			case string(name) == "ver":
				copy(answer[16:], "wl0: Jan  1 2020 version 1.0\n")
			}
			_, err = ep0.Write(answer)
		case kind&0x80 != 0: // the wrong way round stalls
			_, err = ep0.Read(nil)
		default:
			_, err = ep0.Write(nil)
		}
		fmt.Printf("setup type %#x request %d size %d: %v\n", kind, request, size, err)
	}
}
