// SPDX-License-Identifier: Apache-2.0

package depmod

import "golang.org/x/sys/unix"

// sysFstatat is the call that fills a unix.Stat_t.
const sysFstatat = unix.SYS_FSTATAT64
