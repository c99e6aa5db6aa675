// SPDX-License-Identifier: Apache-2.0

package nowhere

import "syscall"

const sysFstat = syscall.SYS_FSTAT64
