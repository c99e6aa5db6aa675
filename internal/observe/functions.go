// SPDX-License-Identifier: Apache-2.0

package observe

import "strings"

// The functions that tasks sleep in, as /proc/PID/wchan names them, by what a
// sleep in them means. Kernels rename functions, and compilers inline them: a
// kernel on which one shows otherwise gets its name here and a line in
// functions_test.go. CONTRIBUTING.md says what else knows such names.

// IsRequesting: in request_module, wherever it waits there.
func IsRequesting(wchan string) bool {
	switch base(wchan) {
	case "call_usermodehelper_exec", "__request_module", "kmod_dup_request_exists_wait":
		return true
	}
	return false
}

// isRequest: the functions in which a task waits for the helper it asked for,
// call_usermodehelper_exec in kernel/umh.c, since 2.6.
func isRequest(wchan string) bool { return base(wchan) == "call_usermodehelper_exec" }

// IsWait: the functions in which a task in finit_module or init_module waits
// for another load of the same file or name. Inlining decides which one shows.
func IsWait(wchan string) bool {
	switch w := base(wchan); w {
	case "idempotent_init_module", "idempotent_wait_for_completion", "idempotent",
		"init_module_from_file", "load_module", "add_unformed_module",
		"module_patient_check_exists", "finished_loading",
		"sys_finit_module", "sys_init_module", "__do_sys_finit_module", "__do_sys_init_module",
		"__se_sys_finit_module", "__se_sys_init_module",
		"__arm64_sys_finit_module", "__arm64_sys_init_module",
		"__x64_sys_finit_module", "__x64_sys_init_module",
		"__ia32_sys_finit_module", "__ia32_sys_init_module":
		return true
	}
	return false
}

// hidesCaller: what shows on 32-bit ARM of a task that sleeps in a function whose
// return a kretprobe waits for, in place of who called that; the probe has some
// on wait_for_completion_interruptible. It stays so when the kretprobe is gone.
func hidesCaller(wchan string) bool {
	switch wchan {
	case "__kretprobe_trampoline", "kretprobe_trampoline":
		return true
	}
	return false
}

// IsTimed: functions that a task sleeps in for a time, after which it goes on
// whatever the others do; or until a frozen cgroup is thawed.
func IsTimed(wchan string) bool {
	w := base(wchan)
	for _, part := range []string{"sleep", "schedule_timeout", "schedule_hrtimeout", "firmware", "fw_", "_timeout",
		"freezer", "refrigerator"} {
		for i := 0; i+len(part) <= len(w); i++ {
			if w[i:i+len(part)] == part {
				return true
			}
		}
	}
	return false
}

// isFlush: functions that wait for a work item, or for several.
func isFlush(wchan string) bool {
	switch base(wchan) {
	case "__flush_workqueue", "flush_workqueue", "drain_workqueue", "destroy_workqueue",
		"async_synchronize_cookie_domain", "async_synchronize_full", "wait_for_device_probe":
		return true
	}
	return isItemFlush(wchan)
}

// isAsync: waits for functions that were given to async_schedule() (kernel/async.c).
func isAsync(wchan string) bool {
	switch base(wchan) {
	case "async_synchronize_cookie_domain", "async_synchronize_full", "async_synchronize_full_domain":
		return true
	}
	return false
}

// awaitsManager: functions of crypto/api.c and algapi.c, where everybody sleeps who waits for the crypto manager:
// crypto_larval_wait, crypto_wait_for_test, or what these were inlined into.
func awaitsManager(wchan string) bool {
	return strings.HasPrefix(wchan, "crypto_")
}

// isIdle: functions that only epoll_wait, poll, select, futex, sigtimedwait and
// nanosleep sleep in. A task in one of them neither loads, nor requests, nor waits
// for a child. For each task that matters there are hundreds of idle ones.
func isIdle(wchan string) bool {
	switch base(wchan) {
	case "ep_poll", "do_epoll_wait", "do_poll", "do_sys_poll", "do_select", "poll_schedule_timeout",
		"futex_wait_queue", "futex_wait_queue_me", "futex_do_wait", "do_sigtimedwait", "hrtimer_nanosleep", "do_nanosleep":
		return true
	}
	return false
}

// isItemFlush: those that wait for one item alone.
func isItemFlush(wchan string) bool {
	switch base(wchan) {
	case "__flush_work", "flush_work", "start_flush_work", "flush_delayed_work", "__cancel_work_sync",
		"__cancel_work_timer", "cancel_work_sync", "work_on_cpu", "work_on_cpu_key":
		return true
	}
	return false
}

// base strips what the compiler appends to a clone: .isra.0, .constprop.0, .part.0.
func base(wchan string) string {
	for i := 1; i < len(wchan); i++ {
		if wchan[i] == '.' {
			return wchan[:i]
		}
	}
	return wchan
}
