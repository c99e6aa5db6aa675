// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() {
	tools["algkat"] = algKnownAnswer
	tools["algbind"] = algBind
	tools["delalg"] = algDelete
}

// NIST SP 800-38A, F.2.1 (CBC-AES128.Encrypt), all four blocks.
const (
	katKey    = "2b7e151628aed2a6abf7158809cf4f3c"
	katIV     = "000102030405060708090a0b0c0d0e0f"
	katPlain  = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
	katCipher = "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
)

// algKnownAnswer encrypts by a named driver of the kernel and compares with the standard's answer.
//
//	vmtool algkat DRIVER
func algKnownAnswer(args []string) int {
	if len(args) != 1 {
		return fatal("algkat: a driver's name is needed")
	}
	got, err := encrypt(args[0], unhex(katKey), unhex(katIV), unhex(katPlain))
	if err != nil {
		return fatal("algkat: %s: %v", args[0], err)
	}
	if !bytes.Equal(got, unhex(katCipher)) {
		return fatal("algkat: %s: encrypted to %x, not %s", args[0], got, katCipher)
	}
	fmt.Println(args[0], "encrypts as published")
	return 0
}

func encrypt(driver string, key, iv, plain []byte) ([]byte, error) {
	fd, err := unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrALG{Type: "skcipher", Name: driver}); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	if err := unix.SetsockoptString(fd, unix.SOL_ALG, unix.ALG_SET_KEY, string(key)); err != nil {
		return nil, fmt.Errorf("set key: %w", err)
	}
	op, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, 0, 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("accept: %w", errno)
	}
	defer unix.Close(int(op))

	// struct af_alg_iv: a length and the bytes.
	ivmsg := binary.NativeEndian.AppendUint32(nil, uint32(len(iv)))
	oob := append(cmsg(unix.ALG_SET_OP, binary.NativeEndian.AppendUint32(nil, unix.ALG_OP_ENCRYPT)),
		cmsg(unix.ALG_SET_IV, append(ivmsg, iv...))...)
	if _, err := unix.SendmsgN(int(op), plain, oob, nil, 0); err != nil {
		return nil, fmt.Errorf("sendmsg: %w", err)
	}
	out := make([]byte, len(plain))
	n, err := unix.Read(int(op), out)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return out[:n], nil
}

func cmsg(kind int, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.SOL_ALG, int32(kind)
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

// algBind asks the kernel for an algorithm by name as any user may, which makes it run modprobe with that
// name. Whether there is such an algorithm does not matter.
//
//	vmtool algbind UID NAME...
func algBind(args []string) int {
	if _, code := becomeUser("algbind", args); code != 0 {
		return code
	}
	for _, name := range args[1:] {
		fd, err := unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fatal("algbind: socket: %v", err)
		}
		err = unix.Bind(fd, &unix.SockaddrALG{Type: "skcipher", Name: name})
		fmt.Printf("%q: %v\n", name, err)
		unix.Close(fd)
	}
	return 0
}

// From linux/cryptouser.h.
const (
	cryptoMsgDelAlg  = 0x11
	cryptoUserAlgLen = 3*64 + 4*4
)

// algDelete removes instances of algorithms by their drivers' names. One that is not there is no error.
//
//	vmtool delalg DRIVER...
func algDelete(args []string) int {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_CRYPTO)
	if err != nil {
		return fatal("delalg: socket: %v (is crypto_user loaded?)", err)
	}
	defer unix.Close(fd)
	code := 0
	for i, driver := range args {
		switch err := deleteAlg(fd, uint32(i+1), driver); {
		case err == nil:
			fmt.Println("removed", driver)
		case errors.Is(err, unix.ENOENT):
			fmt.Println("not there:", driver)
		default:
			fmt.Fprintf(os.Stderr, "vmtool: delalg: %s: %v\n", driver, err)
			code = 1
		}
	}
	return code
}

func deleteAlg(fd int, seq uint32, driver string) error {
	m := make([]byte, unix.NLMSG_HDRLEN+cryptoUserAlgLen)
	h := (*unix.NlMsghdr)(unsafe.Pointer(&m[0]))
	h.Len, h.Type, h.Seq = uint32(len(m)), cryptoMsgDelAlg, seq
	h.Flags = unix.NLM_F_REQUEST | unix.NLM_F_ACK
	copy(m[unix.NLMSG_HDRLEN+64:], driver) // cru_driver_name
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	var reply [4096]byte
	n, _, err := unix.Recvfrom(fd, reply[:], 0)
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if n < unix.NLMSG_HDRLEN+4 {
		return errors.New("the answer is too short")
	}
	if errno := int32(binary.NativeEndian.Uint32(reply[unix.NLMSG_HDRLEN:])); errno != 0 {
		return unix.Errno(-errno)
	}
	return nil
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
