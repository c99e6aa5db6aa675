// SPDX-License-Identifier: Apache-2.0

package dirents

import "syscall"

// sysFstatat is the call that fills a Stat_t.
const sysFstatat = syscall.SYS_FSTATAT
