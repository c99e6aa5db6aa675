// SPDX-License-Identifier: Apache-2.0

package doctor

import "strings"

// security reports which modules may be loaded at all, and what lockdown hides.
func (e *examination) security() {
	e.area = "security"
	switch v, err := e.sys.line("/sys/module/module/parameters/sig_enforce"); {
	case err == nil && v == "Y":
		e.add(Note, "signatures", "required", "a module without a valid signature fails with ENOKEY; decompression in user space still works, the signature being inside", "")
	case err == nil:
		e.add(OK, "signatures", "checked, not required", "an unsigned module taints the kernel (E)", "")
	case !e.sys.exists("/sys/module"):
		e.add(Unknown, "signatures", "unknown", "/sys is not mounted", "mount /sys")
	default:
		e.add(OK, "signatures", "not checked", "no CONFIG_MODULE_SIG", "")
	}
	text, err := e.sys.line("/sys/kernel/security/lockdown")
	if err != nil {
		e.add(OK, "lockdown", "not there", "no CONFIG_SECURITY_LOCKDOWN_LSM, or securityfs is not mounted", "")
		return
	}
	_, in, _ := strings.Cut(text, "[")
	e.lockdown, _, _ = strings.Cut(in, "]")
	switch e.lockdown {
	case "confidentiality":
		e.add(Warn, "lockdown", e.lockdown, "modules must be signed; kprobes, and BPF reading kernel memory, are refused: no probe", "")
	case "integrity":
		e.add(Note, "lockdown", e.lockdown, "modules must be signed", "")
	default:
		e.add(OK, "lockdown", e.lockdown, "", "")
	}
}
